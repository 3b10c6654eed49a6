//! Subtitles: SubRip (`.srt`) and WebVTT (`.vtt`).
//!
//! A sentence runs over several subtitles, so their lines are joined. A line that begins with a dash is another speaker's.

use super::{BlockKind, Builder, LineUnit, Prose};

/// The prose of subtitles.
pub fn extract(text: &str) -> Prose {
    let mut builder = Builder::default();
    let lines: Vec<&str> = text.lines().collect();
    let is_time = |line: &str| line.contains("-->");
    // What stands between an empty line and a line of times is a number or a name.
    let is_head = |at: usize| {
        let before = at == 0 || lines[at - 1].trim().is_empty();
        before && lines.get(at + 1).is_some_and(|next| is_time(next))
    };
    let mut in_note = text.trim_start_matches('\u{feff}').starts_with("WEBVTT");
    for (at, line) in lines.iter().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            in_note = false;
            continue;
        }
        in_note |= ["NOTE", "STYLE", "REGION"].contains(&line) || line.starts_with("NOTE ");
        if in_note || is_time(line) || is_head(at) || builder.mark(line, at + 1) {
            continue;
        }
        let spoken = without_tags(line);
        let spoken = match spoken.trim_start().strip_prefix(['-', '–', '—']) {
            Some(rest) => {
                builder.begin(BlockKind::Item);
                rest.to_owned()
            }
            None => spoken,
        };
        builder.space();
        builder.add(&spoken, at + 1);
    }
    builder.finish(LineUnit::Line)
}

/// A line without `<i>`, `{\an8}` and the like.
fn without_tags(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['<', '{']) {
        plain.push_str(&rest[..at]);
        let close = if rest[at..].starts_with('<') { '>' } else { '}' };
        let is_tag = rest[at..].starts_with("{\\")
            || rest[at + 1..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
        match rest[at..].find(close).filter(|_| is_tag) {
            Some(end) => rest = &rest[at + end + 1..],
            None => {
                plain.push_str(&rest[at..at + 1]);
                rest = &rest[at + 1..];
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::super::tests::texts;
    use super::*;

    #[test]
    fn times_numbers_and_tags_are_left_out() {
        let srt = "1\n00:00:01,000 --> 00:00:03,000\nThe hens were <i>all</i>\nat home, and\n\n2\n00:00:03,500 --> 00:00:05,000\n\
                   {\\an8}nobody knew why.\n\n3\n00:00:06,000 --> 00:00:07,000\n- Ten of them?\n- I < 3 hens.\n";
        let prose = extract(srt);
        assert_eq!(prose.blocks[0].pieces[1].line, 4);
        assert_eq!(
            texts(prose),
            [
                "The hens were all at home, and nobody knew why.",
                "Ten of them?",
                "I < 3 hens."
            ]
        );
    }

    #[test]
    fn heads_notes_and_names_of_cues_are_left_out() {
        let vtt = "WEBVTT - Hens\nKind: captions\n\nNOTE made by hand\nof course\n\nfirst\n00:01.000 --> 00:03.000 align:start\n\
                   <v Anna>The hens were all at home.</v>\n\n00:04.000 --> 00:05.000\n1984\n";
        assert_eq!(texts(extract(vtt)), ["The hens were all at home. 1984"]);
    }
}
