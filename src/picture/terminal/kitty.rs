//! Pictures in kitty's graphics protocol, <https://sw.kovidgoyal.net/kitty/graphics-protocol>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The most base64 that one escape code may carry.
const CHUNK: usize = 4096;

/// Puts a PNG file over so many columns and lines from the cursor on, which stays. A picture with an `id` takes the place
/// of the last one that had it.
pub fn show(png: &[u8], [columns, lines]: [usize; 2], id: Option<u32>) -> String {
    let payload = STANDARD.encode(png);
    let mut text = String::new();
    let mut rest = payload.as_str();
    // a=T: transmit and show; f=100: PNG; q=2: say nothing back; C=1: leave the cursor.
    let mut control = format!("a=T,f=100,q=2,C=1,c={columns},r={lines},");
    if let Some(id) = id {
        control += &format!("i={id},p=1,");
    }
    loop {
        let (chunk, left) = rest.split_at(CHUNK.min(rest.len()));
        let more = u8::from(!left.is_empty());
        text += &format!("\x1b_G{control}m={more};{chunk}\x1b\\");
        if left.is_empty() {
            return text;
        }
        control.clear();
        rest = left;
    }
}

/// Takes a picture off the screen, and frees it.
pub fn remove(id: u32) -> String {
    format!("\x1b_Ga=d,d=I,q=2,i={id}\x1b\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The control data and payloads of the escape codes that a text consists of.
    fn codes(text: &str) -> Vec<(&str, &str)> {
        let codes = text.strip_suffix("\x1b\\").expect("an end").split("\x1b\\");
        let parts = codes.map(|code| code.strip_prefix("\x1b_G").expect("a beginning"));
        parts
            .map(|part| part.split_once(';').expect("a payload"))
            .collect()
    }

    #[test]
    fn a_long_picture_comes_in_chunks() {
        for size in [1, 3071, 3072, 3073, 10_000] {
            let png: Vec<u8> = (0..size).map(|n| n as u8).collect();
            let text = show(&png, [30, 7], Some(9));
            let codes = codes(&text);
            assert_eq!(codes.len(), png.len().div_ceil(3072));
            let (first, rest) = codes.split_first().expect("a code");
            let more = u8::from(!rest.is_empty());
            assert_eq!(
                first.0,
                format!("a=T,f=100,q=2,C=1,c=30,r=7,i=9,p=1,m={more}")
            );
            for (index, (control, payload)) in codes.iter().enumerate() {
                let is_last = index + 1 == codes.len();
                assert!(payload.len() <= 4096 && (is_last || payload.len() % 4 == 0));
                assert!(control.ends_with(if is_last { "m=0" } else { "m=1" }));
                assert!(index == 0 || control.len() == 3, "{control}");
            }
            let payload: String = codes.iter().map(|code| code.1).collect();
            assert_eq!(STANDARD.decode(payload).expect("base64"), png);
        }
    }

    #[test]
    fn a_picture_needs_no_number() {
        assert!(!show(b"png", [1, 1], None).contains("i="));
    }
}
