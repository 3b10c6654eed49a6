//! Markdown (CommonMark with GitHub's tables, footnotes, strikethrough and task lists; YAML and TOML front matter).
//!
//! Left out: code blocks, images, formulas, front matter, the addresses of links, and of HTML what [`html`] leaves out. Words of inline
//! code stay: a reader reads them as part of the sentence.

use super::builder::{Builder, Lines};
use super::{BlockKind, LineUnit, Prose, html};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The prose of a Markdown file.
pub fn extract(text: &str) -> Prose {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
        | Options::ENABLE_MATH
        | Options::ENABLE_DEFINITION_LIST
        | Options::ENABLE_GFM;
    let lines = Lines::of(text);
    let mut builder = Builder::default();
    // Items that are open, and elements whose content is no prose.
    let (mut items, mut hidden) = (0usize, 0usize);
    // A block of HTML, and the line that it begins on.
    let mut block: Option<(String, usize)> = None;
    for (event, span) in Parser::new_ext(text, options).into_offset_iter() {
        let line = lines.at(span.start);
        let kind = match items {
            0 => BlockKind::Paragraph,
            _ => BlockKind::Item,
        };
        match event {
            Event::Start(Tag::CodeBlock(_) | Tag::MetadataBlock(_)) => {
                builder.end();
                hidden += 1;
            }
            Event::Start(Tag::Image { .. }) => hidden += 1,
            Event::End(TagEnd::CodeBlock | TagEnd::MetadataBlock(_) | TagEnd::Image) => hidden -= 1,
            Event::Start(Tag::Item | Tag::DefinitionListDefinition) => {
                items += 1;
                builder.begin(BlockKind::Item);
            }
            Event::End(TagEnd::Item | TagEnd::DefinitionListDefinition) => {
                items -= 1;
                builder.end();
            }
            Event::Start(Tag::Heading { .. }) => builder.begin(BlockKind::Heading),
            // The first paragraph of an item is its beginning.
            Event::Start(Tag::Paragraph | Tag::TableCell | Tag::FootnoteDefinition(_) | Tag::DefinitionListTitle) => {
                builder.begin(kind);
            }
            Event::End(
                TagEnd::Paragraph
                | TagEnd::Heading(_)
                | TagEnd::TableCell
                | TagEnd::FootnoteDefinition
                | TagEnd::DefinitionListTitle,
            ) => builder.end(),
            Event::Start(Tag::HtmlBlock) => {
                builder.end();
                block = Some((String::new(), line));
            }
            Event::End(TagEnd::HtmlBlock) => {
                if let Some((html, first)) = block.take() {
                    add_html(&html, first, &mut builder);
                }
            }
            // Its line ends have become spaces, so that the file has to say what stands on which line.
            Event::Code(_) if hidden == 0 && text[span.clone()].contains('\n') => {
                for (i, part) in text[span].trim_matches('`').split('\n').enumerate() {
                    if i > 0 {
                        builder.space();
                    }
                    builder.add(part.trim_start_matches(['>', ' ', '\t']), line + i);
                }
            }
            Event::Text(words) | Event::Code(words) if hidden == 0 => builder.add(&words, line),
            Event::SoftBreak | Event::HardBreak => builder.space(),
            Event::InlineHtml(tag) if tag.starts_with("<br") => builder.space(),
            Event::Html(html) => {
                if let Some((block, _)) = &mut block {
                    block.push_str(&html);
                }
            }
            _ => {}
        }
    }
    builder.finish(LineUnit::Line)
}

/// Adds the prose of a block of HTML that begins on `first`. Marks in it speak of what follows in the file, and not of the block.
fn add_html(text: &str, first: usize, builder: &mut Builder) {
    marks(text, first, builder);
    for block in html::extract(text).blocks {
        builder.begin(block.kind);
        for piece in &block.pieces {
            builder.add(&block.text[piece.span.clone()], first + piece.line - 1);
            builder.space();
        }
        builder.end();
    }
}

/// Reads the marks in the comments of a stretch of HTML that begins on `line`.
fn marks(html: &str, line: usize, builder: &mut Builder) {
    let mut rest = html;
    let mut line = line;
    while let Some((before, comment)) = rest.split_once("<!--") {
        line += before.matches('\n').count();
        let Some((comment, after)) = comment.split_once("-->") else {
            return;
        };
        builder.mark(comment, line);
        line += comment.matches('\n').count();
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, shown};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_reader_reads_is_taken_out_and_nothing_else() {
        let prose = extract(
            "---\ntitle: No prose\n---\n# The *hen* house\n\nThe hen had `ten` [hats](http://example.com/x \"t\"), and\nthen &amp; there \
             ten **more**. ![no](a.png)\n\n```rust\nlet no = 1;\n```\n\n- One <br>item\n- [x] Two\n\n  of it\n\n1. Three\n\n> Said \
             she.\n\n| Head | Other |\n|---|---|\n| cell | $x$ last |\n\n    no code\n\nA note[^1].\n\n[^1]: The footnote.\n\n<div class=\"x\">\n<em>Some</em> \
             HTML</div>\n<script>no</script>\n",
        );
        assert_eq!(
            shown(&prose),
            [
                "Heading 4: The hen house",
                "Paragraph 6-7: The hen had ten hats, and then & there ten more.",
                "Item 13: One item",
                "Item 14: Two",
                "Item 16: of it",
                "Item 18: Three",
                "Paragraph 20: Said she.",
                "Paragraph 22: Head",
                "Paragraph 22: Other",
                "Paragraph 24: cell",
                "Paragraph 24: last",
                "Paragraph 28: A note.",
                "Paragraph 30: The footnote.",
                "Paragraph 33: Some HTML",
            ]
        );
    }

    #[test]
    fn marks_stand_in_comments() {
        let prose = extract(
            "One.\n\n<!-- whowrote: ignore -->\nTwo.\n\nThree.\n\n<!-- whowrote: ignore-start -->\n\n- four\n- five\n\n<!-- whowrote: \
             ignore-end -->\n\nSix. <!-- whowrote: ignore -->\n",
        );
        let ignored: Vec<&str> = prose
            .blocks
            .iter()
            .filter(|b| b.ignored)
            .map(|b| b.text.as_str())
            .collect();
        assert_eq!(ignored, ["Two.", "four", "five"]);
        assert_eq!(prose.notes, []);
        let apart = extract("<!-- whowrote: ignore -->\n\nTwo.\n\nThree.\n");
        let ignored: Vec<bool> = apart.blocks.iter().map(|b| b.ignored).collect();
        assert_eq!(ignored, [true, false]);
    }

    #[test]
    fn a_megabyte_of_any_sign_is_read_in_no_time() {
        for sign in [
            "[", "*", "<", "`", "> ", "- ", "![", "_a", "|", "&", "<!--", "[^", "\\", "$", "a\n: ",
        ] {
            let begin = std::time::Instant::now();
            extract(&sign.repeat((1 << 20) / sign.len()));
            println!("{sign:?}: {:?}", begin.elapsed());
        }
    }

    proptest! {
        #[test]
        fn words_stand_on_their_lines(
            text in "([a-z]{1,5}|[*_`#>\\[\\]()!|<~-]{1,3}|[0-9]\\. |\n|\n\n|    | |&amp;|\\\\){0,60}",
        ) {
            check(&text, &extract(&text));
        }

        #[test]
        fn any_text_is_read(text in any::<String>()) {
            check("", &extract(&text));
        }
    }
}
