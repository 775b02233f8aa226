//! Latent vectors as the content of a file, and out of it.

use super::encoded::{Encoded, Latents, Wanted};
use super::{csv, jsonl, npz};
use crate::data::{npy, npz as archive};
use crate::{Error, Result};
use std::fmt::Display;

/// What a file of latent vectors is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An archive of NumPy arrays, one a part, with its name: float32, (images, latent dimensions); and `label`, uint8.
    Npz,
    /// One NumPy array, of the first part.
    Npy,
    /// A line an image; columns are named after part and dimension, as `mean0`.
    Csv,
    /// A JSON object a line, with an array a part.
    Jsonl,
}

/// The content of a file of a form.
///
/// # Errors
///
/// If it grows too large for that.
pub fn write(encoded: &Encoded, form: Form) -> Result<Vec<u8>> {
    let written = match form {
        Form::Npz => npz::write(encoded),
        Form::Npy => {
            let means = encoded.parts.first().map_or(&[][..], |(_, values)| values);
            Ok(npy::floats(means, &[encoded.len(), encoded.latent_dim]))
        }
        Form::Csv => csv::write(encoded),
        Form::Jsonl => jsonl::write(encoded),
    };
    written.map_err(|why| Error::failed("latent vectors", why))
}

/// The latent vectors in a file's content, which tells its form: `latent`, else `mean`, else numbers without a name.
///
/// # Errors
///
/// If it is in none of the forms, or holds anything but finite numbers, or more vectors than are wanted; `name` is what
/// the error calls it.
pub fn read(content: &[u8], wanted: Wanted, name: impl Display) -> Result<Latents> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let first = content.iter().find(|byte| !byte.is_ascii_whitespace());
    let read = match first {
        None => Err("it is empty".into()),
        Some(_) if content.starts_with(npy::MAGIC) => {
            npy::read(content).and_then(|array| npz::latents(array, None, wanted))
        }
        Some(_) if archive::is_archive(content) => npz::read(content, wanted),
        Some(b'{' | b'[') => jsonl::read(content, wanted),
        Some(_) => csv::read(content, wanted),
    };
    read.map_err(|why| Error::input(name, why))
}

#[cfg(test)]
mod tests {
    use super::super::encoded::{LOG_VARIANCE, MEAN};
    use super::*;

    const ALL: Wanted = Wanted {
        most: 1000,
        labels: true,
    };

    fn encoded() -> Encoded {
        Encoded {
            latent_dim: 2,
            parts: vec![
                (MEAN, vec![0.1, -1e-30, 3.0, 16_777_216.0, -0.0, 1.5]),
                (LOG_VARIANCE, vec![-1.0, -2.0, -3.0, -4.0, -5.0, -6.0]),
            ],
            labels: Some(vec![7, 0, 255]),
        }
    }

    #[test]
    fn what_is_written_is_read_again_to_the_bit() {
        let encoded = encoded();
        for form in [Form::Npz, Form::Npy, Form::Csv, Form::Jsonl] {
            let file = write(&encoded, form).expect("a file");
            let latents = read(&file, ALL, "file").expect("latent vectors");
            assert_eq!(latents.latent_dim, 2);
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&latents.values), bits(&encoded.parts[0].1), "{form:?}");
            let labels = encoded.labels.clone().filter(|_| form != Form::Npy);
            assert_eq!(latents.labels, labels, "{form:?}");
        }
    }

    #[test]
    fn texts_are_what_they_look_like() {
        let text =
            |form| String::from_utf8(write(&encoded(), form).expect("a file")).expect("text");
        let csv = text(Form::Csv);
        assert!(csv.starts_with(
            "label,mean0,mean1,log_variance0,log_variance1\n7,0.1,-1e-30,-1.0,-2.0\n"
        ));
        let jsonl = text(Form::Jsonl);
        assert!(
            jsonl.starts_with("{\"label\":7,\"mean\":[0.1,-1e-30],\"log_variance\":[-1.0,-2.0]}\n")
        );
    }

    #[track_caller]
    fn values(content: &str) -> Vec<f32> {
        read(content.as_bytes(), ALL, "file")
            .expect("latent vectors")
            .values
    }

    #[test]
    fn tables_of_others_are_read() {
        let expected = [1.0, 2.0, 3.0, 4.0];
        for table in [
            // pandas, with its index and without; with named columns, in any order, beside others.
            ",0,1\n0,1.0,2.0\n1,3.0,4.0\n",
            "0,1\n1.0,2.0\n3.0,4.0\n",
            "name,mean1,mean0,label\n\"a, b\",2,1,3\nc,4,3,5\n",
            "\u{feff}latent0,latent1,mean0\r\n1,2,9\r\n3,4,9\r\n",
            // NumPy.
            "1.000000000000000000e+00,2.0\n3.0,4.0\n",
            "{\"mean0\":1.0,\"mean1\":2.0}\n{\"mean0\":3.0,\"mean1\":4.0}\n",
            "{\"id\":\"a\",\"latent\":[1,2],\"mean\":[8,9]}\n\n{\"id\":null,\"latent\":[3,4.0],\"mean\":[8,9]}",
            "[1, 2]\n[3, 4]\n",
        ] {
            assert_eq!(values(table), expected, "{table}");
        }
    }

    #[test]
    fn what_does_not_fit_is_said_with_its_place() {
        for (table, expected) in [
            ("", "it is empty"),
            ("mean0,mean1\n1,2\n3,x\n", "line 3, mean1: `x` is no number"),
            ("mean0,mean1\n1,\n", "line 2, mean1: `` is no number"),
            ("mean0,mean1\n1,2\n3\n", "line 3 has 1 of 2 columns"),
            (
                "mean0\nnan\n",
                "line 2, mean0: `nan` is no number that is finite",
            ),
            (
                "label,mean0\n256,1\n",
                "line 2, label: `256` is no label from 0 to 255",
            ),
            ("mean0,mean2\n1,2\n", "there is no column mean1"),
            ("mean0,mean0\n1,2\n", "there are two columns mean0"),
            (
                "a,b\n1,2\n",
                "there are no columns latent0, latent1, ... or mean0, mean1, ...",
            ),
            ("mean0\n", "there are no latent vectors in it"),
            (
                "{\"mean\":[1]}\n{\"mean\":[1,2]}\n",
                "line 2 has more numbers than the first",
            ),
            ("{\"mean\":[null]}\n", "line 1, mean0: `null` is no number"),
            ("{\"mean\":[1}\n", "line 1 is no JSON"),
            ("[1]\nhello\n", "line 2 is no JSON"),
        ] {
            let error = read(table.as_bytes(), ALL, "file").expect_err(table);
            assert!(error.why.contains(expected), "{table}: {}", error.why);
        }
    }
}
