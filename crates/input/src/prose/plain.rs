//! Plain text. Empty lines separate its paragraphs.

use super::{Builder, LineUnit, Prose};

/// The prose of a plain text.
pub fn extract(text: &str) -> Prose {
    let mut builder = Builder::default();
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() {
            builder.end();
        } else if !builder.mark(line, number) {
            builder.add(line, number);
            builder.space();
        }
    }
    builder.finish(LineUnit::Line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_end_at_empty_lines() {
        let prose = extract("One\ntwo.\n\n  \nThree\nwhowrote: ignore\nfour\n");
        let blocks: Vec<(&str, bool)> = prose.blocks.iter().map(|b| (b.text.as_str(), b.ignored)).collect();
        assert_eq!(blocks, [("One two.", false), ("Three", false), ("four", true)]);
        assert_eq!(prose.blocks[0].pieces[1].line, 2);
    }
}
