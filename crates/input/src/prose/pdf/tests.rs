use super::super::tests::{check, kinds, shown, texts};
use super::super::{BlockKind, Prose};
use super::*;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use std::io::Write;

/// A file of objects, which get the numbers from 1 on. The first is the catalog.
fn file(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    for (object, number) in objects.iter().zip(1..) {
        bytes.extend(format!("{number} 0 obj\n").bytes());
        bytes.extend(object);
        bytes.extend(b"\nendobj\n");
    }
    bytes.extend(b"trailer\n<</Root 1 0 R>>\n%%EOF");
    bytes
}

fn stream(dict: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("<<{dict}/Length {}>>\nstream\n", data.len()).into_bytes();
    bytes.extend(data);
    bytes.extend(b"\nendstream");
    bytes
}

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

const FONT: &str = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>";

/// Objects of pages with these contents: the catalog, the tree, the resources, then the pages and their contents.
fn pages(contents: &[&str], resources: &str) -> Vec<Vec<u8>> {
    let kids: String = (0..contents.len()).map(|i| format!("{} 0 R ", 4 + 2 * i)).collect();
    let mut objects = vec![
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        format!("<</Type/Pages/Count 1000000/MediaBox[0 0 600 800]/Resources 3 0 R/Kids[{kids}]>>").into_bytes(),
        format!("<</Font<</F {FONT}>>{resources}>>").into_bytes(),
    ];
    for (content, number) in contents.iter().zip((5..).step_by(2)) {
        objects.push(format!("<</Type/Page/Parent 2 0 R/Contents {number} 0 R>>").into_bytes());
        objects.push(stream("", content.as_bytes()));
    }
    objects
}

/// A content that sets lines of 10 points below each other, from a place on.
fn set(x: i32, y: i32, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("({line}) Tj T* ")).collect();
    format!("BT /F 10 Tf 12 TL {x} {y} Td {lines} ET ")
}

fn extracted(bytes: &[u8]) -> Prose {
    let prose = extract("a.pdf", bytes).unwrap();
    check("", &prose);
    prose
}

fn read(contents: &[&str]) -> Vec<String> {
    texts(extracted(&file(&pages(contents, ""))))
}

fn refused(bytes: &[u8]) -> PdfError {
    let error = extract("a.pdf", bytes).unwrap_err();
    assert!(error.to_string().starts_with("`a.pdf` "), "{error}");
    error
}

#[test]
fn lines_become_paragraphs_and_headings() {
    let heading = "BT /F 16 Tf 50 740 Td (Of hens) Tj ET ";
    let first = set(
        50,
        700,
        &["Hens lay eggs, and a hen that", "lays none is a rare thing."],
    );
    let second = set(50, 660, &["Ducks swim.", "They like it."]);
    let item = set(50, 620, &["\\225 geese"]);
    let prose = extracted(&file(&pages(&[&(heading.to_owned() + &first + &second + &item)], "")));
    assert_eq!(
        shown(&prose),
        [
            "Heading 1: Of hens",
            "Paragraph 2: Hens lay eggs, and a hen that lays none is a rare thing.",
            "Paragraph 3: Ducks swim. They like it.",
            "Item 4: geese",
        ]
    );
    assert!(prose.notes.is_empty());
}

#[test]
fn a_line_that_is_set_in_begins_a_paragraph() {
    let lines = [
        (65, 700, "One goes on"),
        (50, 688, "to here."),
        (65, 676, "Two goes on"),
        (50, 664, "too."),
    ];
    let content: String = lines.iter().map(|(x, y, line)| set(*x, *y, &[line])).collect();
    assert_eq!(read(&[&content]), ["One goes on to here.", "Two goes on too."]);
}

#[test]
fn words_that_a_line_parts_are_put_together() {
    let parted = |end: &str, start: &str| read(&[&set(50, 700, &[end, start])]).concat();
    assert_eq!(parted("A char-", "acter is it."), "A character is it.");
    assert_eq!(parted("A well-", "known one."), "A well-known one.");
    assert_eq!(parted("A state-of-the-", "art one."), "A state-of-the-art one.");
    assert_eq!(parted("An e-", "process."), "An e-process.");
    assert_eq!(parted("The left-", "and the right."), "The left- and the right.");
    assert_eq!(parted("Anglo-", "Saxon."), "Anglo-Saxon.");
    assert_eq!(parted("Two -", "not three."), "Two - not three.");
    assert_eq!(parted("See docs/", "theory."), "See docs/theory.");
    assert_eq!(
        parted("A data-driven data-", "driven one."),
        "A data-driven data-driven one."
    );
    assert_eq!(parted("It is another an-", "other one."), "It is another another one.");
}

#[test]
fn spaces_that_are_only_gaps_part_words() {
    // 278 thousandths are a space of this font; 60 are not.
    assert_eq!(
        read(&["BT /F 10 Tf 50 700 Td [(two)-278(words a)-60(nd)] TJ ET"]),
        ["two words and"]
    );
    // Some programs part words by spacing the letter before.
    assert_eq!(
        read(&["BT /F 10 Tf 50 700 Td (tw) Tj 3 Tc (o) Tj 0 Tc (words) Tj ET"]),
        ["two words"]
    );
    assert_eq!(
        read(&["BT /F 10 Tf 50 700 Td (two) Tj 20 0 Td (words) Tj ET"]),
        ["two words"]
    );
}

#[test]
fn letters_that_are_drawn_twice_are_read_once() {
    let content = "BT /F 10 Tf 50 700 Td (Bold hens) Tj ET BT /F 10 Tf 50.3 700 Td (Bold hens) Tj ET";
    assert_eq!(read(&[content]), ["Bold hens"]);
}

/// A font with these names of glyphs from code 65 on.
fn named(names: &str) -> String {
    format!("/Type/Font/Subtype/Type1/BaseFont/Times-Roman/Encoding<</Differences[65 {names}]>>")
}

fn with_font(font: &str, rest: &[Vec<u8>], content: &str) -> Vec<u8> {
    let mut objects = pages(&[content], "");
    objects[2] = format!("<</Font<</F <<{font}>>>>>>").into_bytes();
    objects.extend_from_slice(rest);
    file(&objects)
}

#[test]
fn ligatures_are_spelt_out_whoever_names_them() {
    let content = set(50, 700, &["oABce"]);
    let bytes = with_font(&named("/ffi/o_f_f"), &[], &content);
    assert_eq!(texts(extracted(&bytes)), ["offioffce"]);
    let map = b"1 beginbfchar <41> <FB03> endbfchar 1 beginbfrange <42> <42> <0066006C> endbfrange";
    for (dict, data) in [("", map.to_vec()), ("/Filter/FlateDecode", deflated(map))] {
        let font = format!("{}/ToUnicode 6 0 R", named("/x/y"));
        let bytes = with_font(&font, &[stream(dict, &data)], &content);
        assert_eq!(texts(extracted(&bytes)), ["offiflce"]);
    }
    // Ghostscript swaps the bytes.
    let swapped = b"1 beginbfchar <41> <66006600> endbfchar";
    let font = format!("{}/ToUnicode 6 0 R", named("/x/B"));
    assert_eq!(
        texts(extracted(&with_font(&font, &[stream("", swapped)], &content))),
        ["offBce"]
    );
}

#[test]
fn accents_that_are_drawn_over_letters_are_theirs() {
    // TeX goes back over the accent, which is 333 wide.
    let accented = |name: &str, letter: &str| {
        let content = format!("BT /F 10 Tf 50 700 Td [(naA)333({letter}) (ve)] TJ ET");
        texts(extracted(&with_font(
            &named(&format!("/{name}/dotlessi")),
            &[],
            &content,
        )))
        .concat()
    };
    assert_eq!(accented("dieresis", "B"), "naïve");
    assert_eq!(accented("acute", "e"), "naéve");
    assert_eq!(accented("acute", " e"), "na´ eve");
}

#[test]
fn fonts_that_tex_draws_in_dots_are_read_by_their_codes() {
    let widths = "50 ".repeat(76);
    let font = format!(
        "/Type/Font/Subtype/Type3/FontMatrix[.01 0 0 .01 0 0]/FirstChar 27/LastChar 102/Widths[{widths}]\
         /CharProcs<<>>/Encoding<</Differences[28/a28 101/a101/a102]>>"
    );
    let bytes = with_font(&font, &[], &set(50, 700, &["\\034ef"]));
    assert_eq!(texts(extracted(&bytes)), ["fief"]);
}

#[test]
fn columns_are_read_one_after_the_other() {
    let left = set(
        50,
        700,
        &["The left column is", "read to its end, and", "goes on at the top of"],
    );
    let right = set(320, 700, &["the right column, as", "a reader does."]);
    assert_eq!(
        read(&[&(left + &right)]),
        ["The left column is read to its end, and goes on at the top of the right column, as a reader does."]
    );
}

#[test]
fn heads_and_feet_of_pages_are_left_out() {
    let page = |number: i32, text: &str| {
        set(50, 780, &[&format!("Of hens, chapter {number}")])
            + &set(50, 700, &[text])
            + &set(290, 30, &[&format!("- {number} -")])
    };
    let texts_in = ["One is", "not two. Three is", "not four. 1984", "and so on."];
    let contents: Vec<String> = texts_in
        .iter()
        .zip(7..)
        .map(|(text, number)| page(number, text))
        .collect();
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    let prose = extracted(&file(&pages(&contents, "")));
    assert_eq!(prose.notes.len(), 1);
    assert!(prose.notes[0].1.contains("8 lines"), "{:?}", prose.notes);
    assert_eq!(texts(prose), ["One is not two. Three is not four. 1984 and so on."]);
    // Two pages are too few to tell a head from a text; a number that stands alone is none.
    assert_eq!(
        read(&contents[..2]),
        ["Of hens, chapter 7", "One is Of hens, chapter 8", "not two. Three is"]
    );
}

#[test]
fn what_the_file_calls_no_text_is_left_out_in_the_margin_only() {
    let marked = |y: i32| format!("/Artifact <</Type/Pagination>> BDC {} EMC ", set(50, y, &["Marked."]));
    assert_eq!(read(&[&(marked(780) + &set(50, 700, &["Text."]))]), ["Text."]);
    assert_eq!(
        read(&[&(marked(500) + &set(50, 400, &["Text."]))]),
        ["Marked.", "Text."]
    );
}

#[test]
fn what_no_reader_sees_is_not_read() {
    let seen = set(50, 700, &["Seen."]);
    let off_page = set(700, 700, &["Off the page."]) + &set(50, -50, &["Below it."]);
    let tiny = "BT /F .5 Tf 50 600 Td (Tiny.) Tj ET ";
    let turned = "BT /F 10 Tf 0 1 -1 0 20 300 Tm (Turned.) Tj ET ";
    let invisible = "q BT 3 Tr /F 10 Tf 50 500 Td (Invisible.) Tj ET Q ";
    let layer = format!("/OC /L BDC {} EMC ", set(50, 400, &["On a layer."]));
    let content = seen + &off_page + tiny + turned + invisible + &layer;
    let mut objects = pages(&[&content], "/Properties<</L 6 0 R>>");
    objects.push(b"<</Type/OCG/Name(L)>>".to_vec());
    assert_eq!(texts(extracted(&file(&objects))), ["Seen.", "On a layer."]);
    objects[0] = b"<</Type/Catalog/Pages 2 0 R/OCProperties<</D<</OFF[6 0 R]>>>>>>".to_vec();
    assert_eq!(texts(extracted(&file(&objects))), ["Seen."]);
    // Behind a scan, OCR leaves text that is not drawn.
    assert_eq!(
        read(&["BT 3 Tr /F 10 Tf 50 500 Td (Behind a scan.) Tj ET"]),
        ["Behind a scan."]
    );
}

#[test]
fn the_words_that_are_seen_count_and_not_those_that_the_file_says_they_are() {
    let said = |content: &str| read(&[&format!("/Span <</ActualText(Said.)>> BDC {content} EMC")]);
    assert_eq!(said(&set(50, 700, &["Seen."])), ["Seen."]);
    // Where no font says what is seen, the file does.
    let content = format!("/Span <</ActualText(Said.)>> BDC {} EMC", set(50, 700, &["A"]));
    assert_eq!(
        texts(extracted(&with_font(&named("/nobody"), &[], &content))),
        ["Said."]
    );
}

#[test]
fn pages_that_are_turned_are_read_upright() {
    let mut objects = pages(&["BT /F 10 Tf 0 1 -1 0 300 100 Tm (Upright.) Tj ET"], "");
    objects[3] = b"<</Type/Page/Rotate 90/Contents 5 0 R>>".to_vec();
    assert_eq!(texts(extracted(&file(&objects))), ["Upright."]);
}

#[test]
fn forms_are_drawn_with_their_own_resources() {
    let mut objects = pages(&["q 1 0 0 1 0 100 cm /X Do Q"], "/XObject<</X 6 0 R>>");
    let dict = format!("/Type/XObject/Subtype/Form/Matrix[1 0 0 1 10 0]/Resources<</Font<</F {FONT}>>>>");
    objects.push(stream(&dict, set(50, 500, &["In a form."]).as_bytes()));
    assert_eq!(texts(extracted(&file(&objects))), ["In a form."]);
}

#[test]
fn a_picture_within_the_content_is_passed_over() {
    let content = format!("BI /W 9 ID \u{1}(( EI\u{2} [[ \nEI {}", set(50, 700, &["Behind."]));
    assert_eq!(read(&[&content]), ["Behind."]);
}

#[test]
fn objects_in_streams_and_packed_contents_are_read() {
    let content = set(50, 700, &["Packed hens, packed hens, packed hens."]);
    let ascii85 = b"<~87cURD]i,\"Ebo80~>";
    let parts = [
        "<</Type/Pages/Kids[3 0 R]>>",
        "<</Type/Page/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        FONT,
    ];
    let (mut head, mut body) = (String::new(), String::new());
    for (part, number) in parts.iter().zip([2, 3, 5]) {
        head += &format!("{number} {} ", body.len());
        body += part;
        body += " ";
    }
    let packed = format!("/Type/ObjStm/N 3/First {}/Filter/FlateDecode", head.len());
    let packed = stream(&packed, &deflated((head + &body).as_bytes()));
    let mut bytes = b"%PDF-1.5\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n4 0 obj".to_vec();
    let hex: String = deflated(content.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    bytes.extend(stream("/Filter[/AHx/Fl]", (hex + ">").as_bytes()));
    bytes.extend(b"\nendobj\n9 0 obj");
    bytes.extend(&packed);
    bytes.extend(b"\nendobj\n10 0 obj");
    bytes.extend(stream("/Type/XRef/Root 1 0 R/Filter/ASCII85Decode", ascii85));
    assert_eq!(texts(extracted(&bytes)), ["Packed hens, packed hens, packed hens."]);
}

#[test]
fn the_last_object_of_a_number_counts() {
    let mut bytes = file(&pages(&[&set(50, 700, &["Old."])], ""));
    bytes.extend(b"\n5 0 obj");
    bytes.extend(stream("", set(50, 700, &["New."]).as_bytes()));
    bytes.extend(b"\nendobj\ntrailer<</Root 1 0 R>>");
    assert_eq!(texts(extracted(&bytes)), ["New."]);
}

#[test]
fn marks_exempt_paragraphs() {
    let content = set(50, 700, &["One."]) + &set(50, 660, &["whowrote: ignore"]) + &set(50, 620, &["Two."]);
    let prose = extracted(&file(&pages(&[&content], "")));
    let ignored: Vec<bool> = prose.blocks.iter().map(|block| block.ignored).collect();
    assert_eq!(ignored, [false, true]);
    assert_eq!(kinds(prose)[1], ("Two.".to_owned(), BlockKind::Paragraph));
}

#[test]
fn encrypted_files_are_told_apart() {
    for key in ["/Encrypt 9 0 R", "/#45ncrypt<</Filter/Standard>>"] {
        let mut bytes = file(&pages(&[&set(50, 700, &["Text."])], ""));
        bytes.extend(format!("\ntrailer<</Root 1 0 R{key}>>").bytes());
        assert!(matches!(refused(&bytes), PdfError::Encrypted { .. }));
    }
}

#[test]
fn damaged_files_and_others_are_told_apart() {
    for bytes in [
        &b""[..],
        b"Some text.",
        b"PK\x03\x04",
        b"%PDF-1.7",
        b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj",
    ] {
        assert!(matches!(refused(bytes), PdfError::Damaged { .. }));
    }
    // What is left of a file that was cut off is not judged as if it were all; without the trailer at its end it is
    // still whole.
    let whole = file(&pages(&[&set(50, 700, &["Text."])], ""));
    let trailer = whole.windows(7).position(|window| window == b"trailer").unwrap();
    assert_eq!(texts(extracted(&whole[..trailer])), ["Text."]);
    for end in (0..trailer - 120).step_by(20) {
        assert!(extract("a.pdf", &whole[..end]).is_err(), "{end}");
    }
}

#[test]
fn a_scan_and_empty_pages_are_told_apart() {
    let mut objects = pages(&["q 600 0 0 800 0 0 cm /I Do Q"], "/XObject<</I 6 0 R>>");
    objects.push(stream("/Type/XObject/Subtype/Image/Filter/DCTDecode", b"\xff\xd8"));
    let bytes = file(&objects);
    assert_eq!(
        refused(&bytes).to_string(),
        "`a.pdf` is a scan: it has pages but no text; run it through OCR first, e.g. with `ocrmypdf`"
    );
    assert!(matches!(
        refused(&file(&pages(&["0 0 10 10 re f"], ""))),
        PdfError::NoText { .. }
    ));
    // One page of text and one that is scanned: that is said.
    let content = set(50, 700, &["Text."]);
    let mut objects = pages(&[&content, "/I Do"], "/XObject<</I 8 0 R>>");
    objects.push(stream("/Subtype/Image", b""));
    assert!(extracted(&file(&objects)).notes[0].1.contains("1 hold pictures"));
}

#[test]
fn fonts_that_do_not_say_their_letters_are_told_apart() {
    let bytes = with_font(&named("/nobody/knows"), &[], &set(50, 700, &["ABBA a"]));
    assert!(matches!(refused(&bytes), PdfError::NoLetters { .. }));
    let bytes = with_font(&named("/nobody"), &[], &set(50, 700, &["an Able hen"]));
    let prose = extracted(&bytes);
    assert!(prose.notes[0].1.contains("1 of 11"), "{:?}", prose.notes);
    assert_eq!(texts(prose), ["an ble hen"]);
}

#[test]
fn a_million_pages_are_refused_at_the_limit() {
    let mut bytes = file(&pages(&[&set(50, 700, &["Text."])], ""));
    // What the file says of their number is not asked.
    assert_eq!(texts(extracted(&bytes)), ["Text."]);
    let kids = "<</Type/Page>>".repeat(500_000);
    bytes.extend(format!("\n2 0 obj<</Type/Pages/Kids[{kids}]>>endobj").bytes());
    let error = refused(&bytes);
    assert!(matches!(error, PdfError::TooManyPages { .. }) && error.to_string().contains("10000 pages"));
    bytes.extend(format!("\n2 0 obj[{}]endobj", "0 ".repeat(2_000_001)).bytes());
    assert!(matches!(refused(&bytes), PdfError::TooLarge { .. }));
}

/// Refused at a limit of 1 MiB of work.
fn too_large(bytes: &[u8]) {
    assert!(bytes.len() < 1 << 20);
    let error = bounded("a.pdf", bytes, MAX_PAGES, 1 << 20).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`a.pdf` takes more than 1 MiB unpacked, the most that is read; split it into parts"
    );
}

#[test]
fn bombs_are_refused_wherever_they_lie() {
    let zeros = deflated(&vec![b' '; 4 << 20]);
    let twice = deflated(&zeros);
    let mut objects = pages(&[""], "");
    for (filters, data) in [("/FlateDecode", &zeros), ("[/FlateDecode/FlateDecode]", &twice)] {
        objects[4] = stream(&format!("/Filter{filters}"), data);
        too_large(&file(&objects));
        let mut packed = file(&pages(&[""], ""));
        packed.extend(b"\n9 0 obj");
        packed.extend(stream(&format!("/Type/ObjStm/N 1/First 0/Filter{filters}"), data));
        too_large(&packed);
        let font = format!("{}/ToUnicode 6 0 R", named("/x"));
        let map = stream(&format!("/Filter{filters}"), data);
        too_large(&with_font(&font, &[map], &set(50, 700, &["A"])));
    }
    let runs = [129, b' '].repeat(40_000);
    objects[4] = stream("/Filter/RunLengthDecode", &runs);
    too_large(&file(&objects));
}

#[test]
fn a_form_that_draws_itself_or_many_that_draw_many_end() {
    let draw = "/X Do ".repeat(10);
    let mut objects = pages(&[&draw], "/XObject<</X 6 0 R>>");
    objects.push(stream("/Subtype/Form/Resources 3 0 R", draw.as_bytes()));
    too_large(&file(&objects));
    // Once each is a loop that the depth ends.
    let content = set(50, 700, &["Text."]) + "/X Do";
    let mut objects = pages(&[&content], "/XObject<</X 6 0 R>>");
    objects.push(stream("/Subtype/Form/Resources 3 0 R", b"/X Do"));
    assert_eq!(texts(extracted(&file(&objects))), ["Text."]);
}

#[test]
fn trees_and_references_without_end_end() {
    let text = set(50, 700, &["Text."]);
    let mut objects = pages(&[&text], "");
    objects[1] = b"<</Type/Pages/Resources 3 0 R/Kids[2 0 R 4 0 R 4 0 R 1 0 R]>>".to_vec();
    objects[0] = b"<</Type/Catalog/Pages 2 0 R/Kids[2 0 R]/MediaBox 1 0 R/OCProperties 6 0 R>>".to_vec();
    objects.push(b"6 0 R".to_vec());
    assert_eq!(texts(extracted(&file(&objects))), ["Text."]);
    let deep = "[".repeat(200_000);
    objects.push(deep.into_bytes());
    objects.push(b"<</A ".repeat(100_000));
    assert_eq!(texts(extracted(&file(&objects))), ["Text."]);
}

#[test]
fn a_search_that_would_read_the_file_again_and_again_is_cut_off() {
    // Each object holds a string that has no end.
    let mut bytes = file(&pages(&[&set(50, 700, &["Text."])], ""));
    bytes.extend(b"1 0 obj<</A(".repeat(10_000));
    too_large(&bytes);
}

#[test]
fn fonts_with_codes_and_widths_without_end_are_read_as_far_as_they_make_sense() {
    let content = set(50, 700, &["\\000A\\000B"]);
    let map = b"1 beginbfrange <0041> <0042> <0061> endbfrange 1 beginbfchar <0043> <0063> endbfchar";
    for widths in [
        "0 4294967295 500",
        "0 1e30 500",
        "-5 5 500",
        "0 65535 500 0 65535 500 0 65535 500 0 65535 500",
        "5 1 500 7",
        "0 [[]] 5 6 0 R",
    ] {
        let font = format!(
            "/Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/ToUnicode 6 0 R\
             /DescendantFonts[<</Type/Font/Subtype/CIDFontType2/BaseFont/X/DW 500/W[{widths}]>>]"
        );
        assert_eq!(
            texts(extracted(&with_font(&font, &[stream("", map)], &content))),
            ["ab"]
        );
    }
    for range in [
        "/FirstChar 4294967295/LastChar 4294967296",
        "/FirstChar -1/LastChar 9",
        "/FirstChar 7/LastChar 2",
    ] {
        let font = format!("{}{range}/Widths[500 500]", named("/a/b"));
        assert_eq!(texts(extracted(&with_font(&font, &[], &set(50, 700, &["AB"])))), ["ab"]);
    }
    let font = format!("{}/FontDescriptor<</FontFile 6 0 R/FontFile3 6 0 R>>", named("/a/b"));
    let bytes = with_font(&font, &[stream("", b"\x01\x00\x04\x02garbage")], &set(50, 700, &["AB"]));
    assert_eq!(texts(extracted(&bytes)), ["ab"]);
}

/// A file with something of everything.
fn rich() -> Vec<u8> {
    let content = set(50, 700, &["The hen had ten-", "gallon hats."]) + "q /X Do Q /Span <</ActualText(a)>> BDC EMC";
    let mut objects = pages(
        &[&content, &set(50, 700, &["More."])],
        "/XObject<</X 8 0 R>>/Properties<</L 9 0 R>>",
    );
    objects.push(stream(
        "/Subtype/Form/Resources<</Font<</F <</Type/Font/Subtype/Type0/Encoding/Identity-H/ToUnicode 9 0 R\
         /DescendantFonts[<</Subtype/CIDFontType2/W[1[500 600] 7 9 500]/FontDescriptor<</FontFile2 9 0 R>>>>]>>>>>>",
        b"BT /F 12 Tf 100 500 Td <00410042> Tj ET",
    ));
    let map = b"1 beginbfrange <0041> <0042> <0061> endbfrange";
    objects.push(stream("/Filter[/FlateDecode]", &deflated(map)));
    file(&objects)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_make_it_panic_or_hang(
        changes in prop::collection::vec((any::<prop::sample::Index>(), change()), 1..12),
        end in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut bytes = rich();
        for (at, change) in changes {
            let at = at.index(bytes.len());
            match change {
                Change::Byte(byte) => bytes[at] = byte,
                Change::Insert(text) => { bytes.splice(at..at, text.bytes()); }
                Change::Remove(length) => { bytes.drain(at..bytes.len().min(at + length)); }
            }
            bytes.push(b'\n');
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        // A panic of the library would be a sentence as well, and a bug of ours or of its own.
        let read = read_with(&bytes);
        if let Err(error) = read {
            prop_assert!(error.to_string().starts_with("`a.pdf` "));
        }
    }

    #[test]
    fn no_content_makes_it_panic(scraps in prop::collection::vec(scrap(), 0..60)) {
        let content = scraps.join(" ");
        let _ = super::read(&file(&pages(&[&content], "")), MAX_PAGES, 1 << 22);
    }
}

/// What is read within 4 MiB of work; a panic is one.
fn read_with(bytes: &[u8]) -> Result<Prose, PdfError> {
    let _ = super::read(bytes, MAX_PAGES, 1 << 22);
    bounded("a.pdf", bytes, MAX_PAGES, 1 << 22)
}

#[derive(Clone, Debug)]
enum Change {
    Byte(u8),
    Insert(String),
    Remove(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<u8>().prop_map(Change::Byte),
        prop::sample::select(vec![
            "4294967295",
            "-1",
            "99999999999999999999",
            "1e9",
            "<<",
            ">>",
            "[",
            "]",
            "(",
            ")",
            "/",
            "%",
            "1 0 R",
            "2 0 R",
            "9 0 R",
            "stream\n",
            "endstream",
            "endobj",
            "1 0 obj",
            "trailer",
            "/Kids",
            "#",
        ])
        .prop_map(|text| Change::Insert(text.to_owned())),
        (1usize..40).prop_map(Change::Remove),
    ]
}

/// A piece of a content stream: mostly operators that mean something, in any order.
fn scrap() -> impl Strategy<Value = String> {
    let operators = [
        "q",
        "Q",
        "cm",
        "BT",
        "ET",
        "Tf",
        "Td",
        "TD",
        "Tm",
        "T*",
        "Tj",
        "TJ",
        "'",
        "\"",
        "Tc",
        "Tw",
        "Tz",
        "TL",
        "Ts",
        "Tr",
        "Do",
        "BMC",
        "BDC",
        "EMC",
        "BI",
        "ID",
        "EI",
        "re",
        "/F 10 Tf",
        "/F",
        "/X",
        "/Artifact",
        "/OC",
        "[",
        "]",
        "<<",
        ">>",
    ];
    prop_oneof![
        6 => prop::sample::select(operators.to_vec()).prop_map(str::to_owned),
        3 => "\\([ -\\[\\]-~]{0,8}\\)",
        3 => "-?[0-9]{1,12}(\\.[0-9]{1,3})?",
        1 => "<[0-9A-F]{0,8}>",
    ]
}
