//! Pictures in iTerm2's protocol of inline files, <https://iterm2.com/documentation-images.html>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Puts a PNG file over so many columns and lines from the cursor on. Where the cursor is then, terminals disagree.
pub fn show(png: &[u8], [columns, lines]: [usize; 2]) -> String {
    format!(
        "\x1b]1337;File=inline=1;size={};width={columns};height={lines};preserveAspectRatio=0:{}\x07",
        png.len(),
        STANDARD.encode(png)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_one_file_with_its_size() {
        let text = show(b"a PNG file", [12, 3]);
        let (arguments, file) = text.split_once(':').expect("a colon");
        assert_eq!(
            arguments,
            "\x1b]1337;File=inline=1;size=10;width=12;height=3;preserveAspectRatio=0"
        );
        let file = file.strip_suffix('\x07').expect("an end");
        assert_eq!(STANDARD.decode(file).expect("base64"), b"a PNG file");
    }
}
