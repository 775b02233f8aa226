//! Names of files as text, whatever their bytes: what is no UTF-8 is percent-encoded (RFC 3986, section 2.1).

use std::ffi::{OsStr, OsString};

/// A name as text: each byte that is no part of UTF-8 as `%E9`, and `%` as `%25`.
pub fn encode(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text += &chunk.valid().replace('%', "%25");
        for byte in chunk.invalid() {
            text += &format!("%{byte:02X}");
        }
    }
    text
}

/// The name that a text stands for; none, if a `%` in it begins no byte, or no file has such a name on this system.
pub fn decode(text: &str) -> Option<OsString> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let digit = |place: usize| char::from(digits.as_bytes()[place]).to_digit(16);
        bytes.push((digit(0)? << 4 | digit(1)?) as u8);
        bytes.extend(rest.as_bytes());
    }
    of_bytes(bytes)
}

#[cfg(unix)]
fn of_bytes(bytes: Vec<u8>) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn of_bytes(bytes: Vec<u8>) -> Option<OsString> {
    String::from_utf8(bytes).ok().map(OsString::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_for_a_name() {
        for (name, text) in [("/data/é 100%", "/data/é 100%25"), ("", ""), ("a/b", "a/b")] {
            assert_eq!(encode(name.as_ref()), text);
            assert_eq!(decode(text), Some(name.into()));
        }
        for wrong in ["%", "a%2", "%g0", "%+1", "%é"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn every_byte_comes_back() {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        assert_eq!(encode(OsStr::from_bytes(b"/caf\xe9/\xc3\xa9")), "/caf%E9/é");
        let bytes: Vec<u8> = (1..=255).collect();
        let name = OsString::from_vec(bytes);
        assert_eq!(decode(&encode(&name)), Some(name));
    }
}
