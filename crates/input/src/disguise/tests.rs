use super::*;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use whowrote_attacks::Attack;

/// The text without disguises. Checks that the report and the map agree with it.
fn plain(text: &str) -> String {
    let result = undisguise(text);
    assert_eq!(result.disguises.is_empty(), result.text == text, "{text:?}");
    for disguise in &result.disguises {
        assert!(
            disguise.start < disguise.end && text.get(disguise.start..disguise.end).is_some(),
            "{disguise:?}"
        );
    }
    let again = undisguise(&result.text);
    assert_eq!(again.disguises, [], "{text:?} became {:?}", result.text);
    result.text
}

fn kinds(text: &str) -> Vec<DisguiseKind> {
    let mut kinds: Vec<_> = undisguise(text)
        .disguises
        .into_iter()
        .map(|disguise| disguise.kind)
        .collect();
    kinds.dedup();
    kinds
}

fn stays(texts: &[&str]) {
    for text in texts {
        assert_eq!(plain(text), *text);
        assert_eq!(undisguise(text).disguises, [], "{text}");
    }
}

const PROSE: &str = "The committee met on Tuesday, 14 March, and agreed (by 12 votes to 3) that a bridge should be repaired \
                     before the winter; \"it cannot wait\", said the mayor, who had walked across it that morning. I see. He \
                     wore a coat, as he does. A cold wind came up from the sea, and nobody had anything more to say about it.";

#[test]
fn typography_stays() {
    stays(&[
        PROSE,
        "“Quotes”, ‘quotes’, „Gänsefüßchen“, «guillemets» – a dash — and an ellipsis… don’t",
        "Il a dit\u{202f}: «\u{a0}oui\u{a0}», et 10\u{a0}km à\u{a0}Paris\u{202f}! Mr.\u{a0}Smith paid 1\u{2009}000\u{a0}€",
        "Kočka leze dírou, pes oknem, v\u{a0}Praze i\u{a0}v\u{a0}Brně.",
        "Café, naïve, Ångström, façade, Straße, cafe\u{301}, nai\u{308}ve",
        "Tiếng Việt rất đẹp; Tie\u{302}\u{301}ng Vie\u{323}\u{302}t ra\u{302}\u{301}t đe\u{323}p",
        "The word is /ˈwɜː(ɹ)d/, [ɡɑd], /ɡɑt/, /t͡ʃɪ̃ˑ/ and /n̪̊ɐ̝̟/",
        "H₂O, x², 5ª, №1, ½, ©, ™, ℃, 100 Ω, 5 µm, Ⓐ",
    ]);
}

#[test]
fn other_alphabets_stay() {
    stays(&[
        "The capital is Москва, and one says «привет» or «оса»; a wasp.",
        "He said «а роза упала на лапу Азора» and left. The сок was cold.",
        "Съешь же ещё этих мягких французских булок, да выпей чаю. О, а у нас осе! Он и она.",
        "Ο άνθρωπος είναι ο μόνος. Η ζωή και ο χρόνος.",
        "Слово с опечаткой: оcень красиво, и вcе на меcте.",
        "Հայերեն լեզու, ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ, ქართული ენა",
        "日本語ＡＢＣと１２３　です。 中文　字",
        "IT-шник from Яндекс.Деньги and SMSки",
    ]);
}

#[test]
fn greek_letters_that_are_signs_stay() {
    stays(&[
        "Let α, β and μ be given; ν and ρ follow, with α-helix, Δt, ΔG, 5 μm, kΩ, λx, dθ and σ².",
        "TNFα, IFNγ, TGFβ, NFκB, γH2AX, ERα, IL-1β, PPARγ and sinα are common; so is μTorrent, αSyn or cosθ.",
        "Here 𝑥 + 𝑦 = 𝑧 in ℝ, and 𝛼𝑥 holds for ℂ, 𝐀 and ℓ.",
    ]);
}

#[test]
fn joiners_and_marks_of_other_scripts_stay() {
    stays(&[
        "می\u{200c}خواهم کتاب\u{200c}ها را بخوانم ه\u{200d}",
        "क्\u{200d}ष and श्री\u{200c}मान, র\u{200d}্য, ශ්\u{200d}රී ලංකා, നന്\u{200d}",
        "ภาษา\u{200b}ไทย ភាសា\u{200b}ខ្មែរ",
        "שָׁלוֹם עֲלֵיכֶם \u{200f}(OK)\u{200e} \u{2067}שלום\u{2069} \u{202b}עברית\u{202c}",
        "اَلْعَرَبِيَّةُ\u{200f}! \u{61c}مرحبا",
        "ᠮᠣᠩᠭᠣᠯ\u{180e}ᠠ ᠪᠢᠴᠢᠭ᠋",
        "한국어 텍스트",
        "葛\u{e0100}城, ∩\u{fe00}, 0\u{fe00}",
    ]);
}

#[test]
fn emoji_stay() {
    stays(&[
        "👩\u{200d}👩\u{200d}👧\u{200d}👦 ❤\u{fe0f}\u{200d}🔥 🏳\u{fe0f}\u{200d}🌈 👩🏽\u{200d}💻 ☎\u{fe0e} 1\u{fe0f}\u{20e3} #\u{20e3} 🇫🇷",
        "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} and 🏴\u{200d}☠\u{fe0f} ©\u{fe0f}",
    ]);
}

#[test]
fn layout_stays() {
    stays(&[
        "    indented\n  - and less\n\tby a tab\n",
        "Name        Age    City\nJohn Smith  25     New York\nAnn         7      Rome\n",
        "The quick brown fox     12.50\nThe slow red tortoise   1.25\nThe dog and the bear   7.00\nAnother beast in it    7.00",
        "x = 1    # one\nlonger = 2    # two\n",
        "a\tb\t c\n1\t 2\t3",
        "Markdown ends a line  \nwith two spaces.",
        "Total:                      15",
        "*   one thing\n1.  another\n  (a)  and a third\n>  quoted",
        "| a  | b   |\n|----|-----|\n| cat | dog  |",
    ]);
}

#[test]
fn two_spaces_after_sentences_are_a_habit() {
    stays(&[
        "Not always.  Only now and then. As people do. It is so.",
        "It rained.  We stayed in.  \"Why?\"  Because.  It was cold.",
        "One.\u{a0} Two.\u{a0} Three.",
    ]);
    assert_eq!(
        plain("It rained.  We  stayed in.  So  it was.  Cold  it is."),
        "It rained. We stayed in. So it was. Cold it is."
    );
}

#[test]
fn mixed_words_become_latin() {
    assert_eq!(plain("Тhe quiсk brоwn fox"), "The quick brown fox");
    assert_eq!(plain("ΤНЕ end"), "THE end");
    assert_eq!(plain("thαt αttacker, εvening"), "that attacker, evening");
    assert_eq!(plain("thе liке of тhis"), "the like of this");
    assert_eq!(plain("сafé, naїve and cafе\u{301}"), "café, naïve and cafe\u{301}");
    assert_eq!(plain("dоn’t"), "don’t");
    assert_eq!(plain("Ꭱun, ꓮnd հappen"), "Run, And happen");
    assert_eq!(plain("The cɑt is ɡood"), "The cat is good");
    assert_eq!(plain("TNFα аnd IL-1β"), "TNFα and IL-1β");
    assert_eq!(kinds("Тhe"), [DisguiseKind::Homoglyph]);
}

#[test]
fn whole_words_of_look_alikes_become_latin_where_others_were_mixed() {
    assert_eq!(plain("І sаw а со оf осе"), "I saw a co of oce");
    assert_eq!(plain("ОРЕС аnd Α.І. mееt"), "OPEC and A.I. meet");
    // The neighbour is Russian, so the undecided word is too.
    assert_eq!(
        plain("Неllо, «а роза» is а rose in Russian"),
        "Hello, «а роза» is a rose in Russian"
    );
    // There is no mixed word, but an article twice.
    assert_eq!(plain("I saw а dog and а cat."), "I saw a dog and a cat.");
    stays(&[
        "I saw а dog.",
        "The letters «а» and «а» are one.",
        "The words оса and сор differ.",
    ]);
}

#[test]
fn styled_letters_and_ligatures_become_plain() {
    assert_eq!(plain("Ｈｅｌｌｏ ｗｏｒｌｄ １２"), "Hello world 12");
    assert_eq!(plain("𝗧𝗵𝗶𝘀 𝗶𝘀 𝗮 𝓽𝓮𝓼𝓽 𝟙𝟚𝟛"), "This is a test 123");
    assert_eq!(plain("oﬃce, ﬁnd, ﬂow"), "office, find, flow");
    assert_eq!(kinds("ﬁnd"), [DisguiseKind::Ligature]);
    assert!(DisguiseKind::Ligature.is_typographic() && !DisguiseKind::StyledLetter.is_typographic());
}

#[test]
fn invisible_characters_go() {
    for (c, kind) in [
        ('\u{200b}', DisguiseKind::ZeroWidth),
        ('\u{200c}', DisguiseKind::ZeroWidth),
        ('\u{200d}', DisguiseKind::ZeroWidth),
        ('\u{2060}', DisguiseKind::ZeroWidth),
        ('\u{feff}', DisguiseKind::ZeroWidth),
        ('\u{180e}', DisguiseKind::ZeroWidth),
        ('\u{2063}', DisguiseKind::ZeroWidth),
        ('\u{1160}', DisguiseKind::ZeroWidth),
        ('\u{34f}', DisguiseKind::ZeroWidth),
        ('\u{fffa}', DisguiseKind::ZeroWidth),
        ('\u{ad}', DisguiseKind::SoftHyphen),
        ('\u{fe0f}', DisguiseKind::VariationSelector),
        ('\u{e0123}', DisguiseKind::VariationSelector),
        ('\u{e0041}', DisguiseKind::Tag),
        ('\u{202e}', DisguiseKind::BidiControl),
        ('\u{2066}', DisguiseKind::BidiControl),
        ('\u{200e}', DisguiseKind::BidiControl),
    ] {
        let text = format!("some{c}thing {c}is hidden{c}");
        assert_eq!(plain(&text), "something is hidden", "{c:?}");
        assert_eq!(kinds(&text), [kind], "{c:?}");
    }
}

#[test]
fn data_after_an_emoji_goes_and_the_emoji_stays() {
    assert_eq!(plain("☺\u{fe0f}\u{fe01}\u{fe02}\u{e0120}!"), "☺\u{fe0f}!");
    assert_eq!(plain("🏴\u{e0041}\u{e0042}\u{e007f}!"), "🏴!");
    assert_eq!(plain("می\u{200c}\u{200d}\u{200c}\u{200b}خواهم"), "می\u{200c}خواهم");
    assert_eq!(plain("שלום\u{202e}abc\u{202c}"), "שלום abc\u{202c}".replace(' ', ""));
}

#[test]
fn stacks_of_marks_go() {
    assert_eq!(plain("Z\u{351}\u{36b}\u{343}a\u{32a}\u{302}\u{308}\u{347}lgo"), "Zalgo");
    assert_eq!(kinds("Z\u{351}\u{36b}\u{343}"), [DisguiseKind::CombiningMark]);
    stays(&["a\u{302}\u{301}\u{323}\u{32a} b\u{32a}\u{30a}"]);
}

#[test]
fn odd_spaces_become_plain() {
    assert_eq!(
        plain("some\u{2003}thing\u{2005}very\u{3000}odd\u{205f}there"),
        "some thing very odd there"
    );
    assert_eq!(plain("blank\u{3164}letters\u{2800}here"), "blank letters here");
    assert_eq!(plain("word\u{a0} and  so on"), "word and so on");
    // No-break spaces everywhere are not typography.
    let everywhere = PROSE.replace(' ', "\u{a0}");
    assert_eq!(plain(&everywhere), PROSE);
    assert_eq!(kinds(&everywhere), [DisguiseKind::OddSpace]);
}

#[test]
fn a_report_says_what_was_found_and_where() {
    let result = undisguise("a\u{200b}b");
    assert_eq!(
        serde_json::to_string(&result.disguises).unwrap(),
        r#"[{"kind":"zero-width","start":1,"end":4,"found":"U+200B","replaced_by":""}]"#
    );
    let spaces = undisguise("so  it is");
    assert_eq!(spaces.disguises[0].found, "U+0020 U+0020");
    assert_eq!(
        (
            spaces.disguises[0].start,
            spaces.disguises[0].end,
            spaces.disguises[0].replaced_by.as_str()
        ),
        (2, 4, " ")
    );
}

#[test]
fn offsets_lead_back() {
    let text = "A\u{200b} wоrd, oﬃce";
    let result = undisguise(text);
    assert_eq!(result.text, "A word, office");
    assert_eq!(result.original_offset(0), 0);
    let original = |range: Range<usize>| result.original_offset(range.start)..result.original_offset(range.end);
    assert_eq!(&text[original(2..6)], "wоrd");
    assert_eq!(&text[original(8..14)], "oﬃce");
    assert_eq!(result.original_offset(14), text.len());
    assert_eq!(undisguise("plain").original_offset(3), 3);
    assert_eq!(undisguise("\u{200b}").original_offset(0), 3);
}

#[test]
fn long_texts_are_looked_at_block_by_block() {
    let text = "The h\u{435}n had t\u{200b}en hats.\n".repeat(BLOCK / 10);
    let result = undisguise(&text);
    assert_eq!(result.text, "The hen had ten hats.\n".repeat(BLOCK / 10));
    assert_eq!(result.kinds[&DisguiseKind::Homoglyph], BLOCK / 10);
    assert_eq!(result.disguises.len(), 2 * LISTED);
    assert_eq!(result.original_offset(result.text.len() - 1), text.len() - 1);
    // A block without a line end or a space ends between two characters.
    let letters = "\u{4e00}".repeat(BLOCK);
    assert_eq!(undisguise(&letters).text, letters);
}

/// Prose with single spaces, as RAID attacks it, and long enough to show habits.
fn prose() -> impl Strategy<Value = String> {
    const WORDS: [&str; 36] = [
        "a",
        "the",
        "of",
        "He",
        "I",
        "so",
        "apple",
        "committee",
        "Zoe's",
        "exact",
        "café",
        "don't",
        "OPEC",
        "well-known",
        "by",
        "must",
        "full",
        "HTTP",
        "ice",
        "cope",
        "Paris,",
        "said:",
        "(maybe)",
        "3.5",
        "1,200",
        "K",
        "naïve",
        "“yes”",
        "Möbius",
        "city;",
        "any",
        "bridge",
        "Xerxes",
        "Britain",
        "money",
        "Aix",
    ];
    let sentence = proptest::collection::vec(prop::sample::select(WORDS.to_vec()), 5..15)
        .prop_map(|words| format!("The people {}.", words.join(" ")));
    let paragraph = proptest::collection::vec(sentence, 6..12).prop_map(|sentences| sentences.join(" "));
    proptest::collection::vec(paragraph, 1..4).prop_map(|paragraphs| paragraphs.join("\n\n"))
}

/// Text that brings the rules into conflict.
fn hostile() -> impl Strategy<Value = String> {
    const PARTS: &str = "aeotTIxbл оасеукхтАОІαμνοιΑΙΔɡɑ𝐚𝑥ａ１ﬁﬃ中ل ש 1.!'’-/[«»\n\n       \t\u{a0}\u{2003}\u{3000}\u{3164}\u{2800}\u{ffa0}\u{200b}\u{200c}\u{200d}\u{ad}\u{fe0f}\u{fe01}\u{e0061}\u{e007f}\u{e0101}🏴❤🔥\u{20e3}\u{301}\u{302}\u{351}\u{36b}\u{343}\u{323}\u{5b8}\u{64e}क\u{94d}ไ\u{200e}\u{202e}\u{2067}ᠠ\u{180b}\u{180e}\u{1160}\u{115f}ᄀᎪꓮՕўёї\u{306}\u{308}";
    const WORDS: [&str; 10] = [
        "he ",
        "со ",
        "the ",
        "  ",
        ".  ",
        "лес ",
        "а ",
        " а",
        "оf ",
        "word\u{a0}other ",
    ];
    let parts: Vec<String> = PARTS.chars().map(String::from).chain(WORDS.map(String::from)).collect();
    // A few parts, repeated, meet each other more often than all parts would.
    proptest::collection::vec(prop::sample::select(parts), 2..9).prop_flat_map(|few| {
        proptest::collection::vec(prop::sample::select(few), 0..50).prop_map(|parts| parts.concat())
    })
}

/// Lines of many kinds, as targets of attacks.
const LINES: [&str; 16] = [
    PROSE,
    "A cop, a pace, so he is ice",
    "He said «а роза упала на лапу Азора» and left.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "оса со рос",
    "Ο άνθρωπος είναι ο μόνος. Η ζωή και ο χρόνος.",
    "TNFα, IFNγ and αSyn; sinα, thαt ναme",
    "Name        Age    City",
    "John Smith  25     New York",
    "It rained.  We stayed in.  It was cold.",
    "می\u{200c}خواهم کتاب\u{200c}ها را بخوانم \u{200f}(OK)",
    "क्\u{200d}ष and 👩\u{200d}👩\u{200d}👧 1\u{fe0f}\u{20e3} 🏴\u{e0067}\u{e0062}\u{e007f}",
    "Il a dit\u{202f}: «\u{a0}oui\u{a0}», et 10\u{a0}km à\u{a0}Paris",
    "日本語ＡＢＣ　です and Ｈｅｌｌｏ 𝗧𝗵𝗶𝘀 𝑥",
    "Z\u{351}\u{36b}\u{343}algo cafe\u{301}",
    "",
];

fn holds(text: &str) -> Result<(), TestCaseError> {
    let result = undisguise(text);
    prop_assert_eq!(result.kinds.is_empty(), result.text == text);
    let again = undisguise(&result.text);
    prop_assert!(
        again.disguises.is_empty(),
        "{:?} became {:?}, then {:?}",
        text,
        result.text,
        again
    );
    let mut last = 0;
    for at in 0..=result.text.len() {
        let there = result.original_offset(at);
        prop_assert!(last <= there && there <= text.len());
        if result.text.is_char_boundary(at) {
            prop_assert!(
                text.is_char_boundary(there),
                "{} of {:?} leads into {:?}",
                at,
                result.text,
                text
            );
        }
        last = there;
    }
    prop_assert_eq!(result.original_offset(result.text.len()), text.len());
    Ok(())
}

proptest! {
    #[test]
    fn what_comes_back_holds_no_disguise_and_leads_back(text in hostile()) {
        holds(&text)?;
    }

    #[test]
    fn attacked_prose_among_other_things_has_no_disguise_left(
        lines in proptest::collection::vec(prop::sample::select(LINES.to_vec()), 1..8),
        attacks in proptest::collection::vec((prop::sample::select(Attack::ALL.to_vec()), 0.0f64..1.0), 0..4),
        seed: u64,
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut text = lines.join("\n");
        for (attack, rate) in attacks {
            text = attack.apply(&text, rate, &mut rng);
        }
        holds(&text)?;
    }

    #[test]
    fn any_text_at_all_is_accepted(text in any::<String>()) {
        holds(&text)?;
    }

    #[test]
    fn ascii_prose_with_single_spaces_comes_back(words in proptest::collection::vec("[!-~]{1,9}", 0..80)) {
        let text = words.join(" ");
        let result = undisguise(&text);
        prop_assert_eq!(&result.text, &text);
        prop_assert!(result.disguises.is_empty());
    }

    #[test]
    fn the_attacks_of_raid_are_undone(text in prose(), seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        prop_assert!(undisguise(&text).disguises.is_empty());
        for attack in [Attack::Homoglyph, Attack::ZeroWidthSpace, Attack::Whitespace] {
            let attacked = attack.apply(&text, attack.rate(), &mut rng);
            prop_assert_ne!(&attacked, &text);
            prop_assert_eq!(&undisguise(&attacked).text, &text, "{}", attack.name());
        }
        // All three attacks on one text.
        let mut attacked = text.clone();
        for attack in [Attack::Whitespace, Attack::Homoglyph, Attack::ZeroWidthSpace] {
            attacked = attack.apply(&attacked, attack.rate(), &mut rng);
        }
        prop_assert_eq!(&undisguise(&attacked).text, &text);
    }

    #[test]
    fn a_few_look_alikes_are_undone_too(text in prose(), seed: u64, rate in 0.02f64..1.0) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let attacked = Attack::Homoglyph.apply(&text, rate, &mut rng);
        let result = undisguise(&attacked);
        // Everything is undone, unless chance changed whole words only.
        let is_mixed = attacked.split_whitespace().any(|word| !word.is_ascii() && word.chars().any(|c| c.is_ascii_alphabetic()) && !text.contains(word));
        prop_assume!(is_mixed);
        prop_assert_eq!(&result.text, &text);
    }
}
