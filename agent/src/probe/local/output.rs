//! What a program prints: a part of it is kept, the rest is counted, and what is shown is text. Pure.

use holdfast_health::Run;

/// A program that prints more than this is ended.
pub const MOST: usize = 1 << 20;

/// What a program has printed so far.
#[derive(Default, Debug)]
pub struct Output {
    kept: Vec<u8>,
    length: usize,
}

impl Output {
    /// Adds what has come; answers whether the program may go on printing.
    pub fn add(&mut self, bytes: &[u8]) -> bool {
        let room = Run::LONGEST_MESSAGE.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.length = self.length.saturating_add(bytes.len());
        self.length <= MOST
    }

    /// What is kept, as text: valid, without control characters and colors, without empty lines at its ends.
    pub fn text(&self) -> String {
        let cut = self.length > self.kept.len();
        let mut text = plain(&String::from_utf8_lossy(whole_characters(&self.kept, cut)));
        // Each byte that is no text has become a character of three.
        text.truncate(text.floor_char_boundary(Run::LONGEST_MESSAGE));
        text.truncate(text.trim_end().len());
        text
    }
}

/// `bytes` without a character at its end that was cut in two.
fn whole_characters(bytes: &[u8], cut: bool) -> &[u8] {
    let complete = bytes
        .utf8_chunks()
        .last()
        .filter(|last| cut && last.invalid().len() < 4)
        .map_or(bytes.len(), |last| bytes.len() - last.invalid().len());
    bytes.get(..complete).unwrap_or(bytes)
}

/// `text` without what would move a terminal's cursor or change its colors.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.trim_matches(|c: char| c.is_whitespace()).chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // A control sequence: `ESC [`, parameters, and a letter that ends it.
            '\u{1b}' if characters.next_if_eq(&'[').is_some() => {
                characters.find(|end| ('@'..='~').contains(end));
            }
            '\n' => plain.push('\n'),
            '\t' => plain.push(' '),
            other if other.is_control() => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(parts: &[&[u8]]) -> String {
        let mut output = Output::default();
        for part in parts {
            output.add(part);
        }
        output.text()
    }

    #[test]
    fn what_is_printed_is_shown_as_lines_of_plain_text() {
        for (printed, shown) in [
            (&b"ok\n"[..], "ok"),
            (b"", ""),
            (b"\n \n", ""),
            (b"\r\none\r\n\ntwo\tparts\r\n", "one\n\ntwo parts"),
            (b"\x1b[1;31mred\x1b[0m\x07 \x00alert\x1b[", "red alert"),
            (b"a\xff\xfeb", "a\u{fffd}\u{fffd}b"),
            ("größer – 10 µs".as_bytes(), "größer – 10 µs"),
            ("\u{9b}31m\u{85}x".as_bytes(), "31mx"),
        ] {
            assert_eq!(text_of(&[printed]), shown, "{printed:?}");
        }
    }

    #[test]
    fn the_rest_of_much_is_cut_off_between_two_characters() {
        for before in 0..4 {
            let printed = [&vec![b'x'; before], "€".repeat(4000).as_bytes()].concat();
            let text = text_of(&[&printed]);
            assert!(
                text.len() <= Run::LONGEST_MESSAGE && text.len() > Run::LONGEST_MESSAGE - 4,
                "{}",
                text.len()
            );
            assert!(
                !text.contains('\u{fffd}'),
                "cut in a character, {before} before it"
            );
        }
        // Bytes that are no text become longer, and are not mistaken for the half of a character.
        let text = text_of(&[&[0xff; 5000]]);
        assert!(text.len() <= Run::LONGEST_MESSAGE && text.len() > Run::LONGEST_MESSAGE - 4);
    }

    #[test]
    fn parts_make_the_same_text_as_the_whole() {
        let whole = "größer\nals €100".as_bytes();
        for cut in 0..=whole.len() {
            let (a, b) = whole.split_at(cut);
            assert_eq!(text_of(&[a, b]), "größer\nals €100");
        }
    }

    #[test]
    fn a_program_may_print_so_much_and_no_more() {
        let mut output = Output::default();
        assert!(output.add(&vec![b'x'; MOST]));
        assert!(!output.add(b"x"));
        assert!(
            output.kept.capacity() <= 2 * Run::LONGEST_MESSAGE,
            "what is not shown takes no memory"
        );
    }
}
