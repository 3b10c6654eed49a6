use super::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const TEXT: &str = "The neighbors of Mr. Smith, a traveler, saw an old center of the city in 1984. It cost $3.50, because they could \
                    not receive the color film. \"Really?\" he said. But the committee believed him! On 12 May 1,200 people went \
                    to see the theater, and a friend of theirs analyzed the whole thing. They didn't organize a party.";

fn attacked(attack: Attack, rate: f64) -> String {
    attack.apply(TEXT, rate, &mut ChaCha8Rng::seed_from_u64(7))
}

#[test]
fn a_rate_of_zero_changes_nothing() {
    for attack in Attack::ALL {
        for rate in [0.0, -1.0, f64::NAN] {
            assert_eq!(attacked(attack, rate), TEXT, "{}", attack.name());
            assert_eq!(attack.apply("", 1.0, &mut ChaCha8Rng::seed_from_u64(1)).trim(), "");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_text_and_every_attack_changes_this_one() {
    for attack in Attack::ALL {
        let rate = attack.rate();
        assert_eq!(attacked(attack, rate), attacked(attack, rate));
        assert_ne!(attacked(attack, rate), TEXT, "{}", attack.name());
        assert_eq!(attacked(attack, 1.0), attacked(attack, 5.0));
    }
}

#[test]
fn names_differ_and_are_kebab_case() {
    let names: std::collections::BTreeSet<&str> = Attack::ALL.iter().map(|attack| attack.name()).collect();
    assert_eq!(names.len(), Attack::ALL.len());
    assert!(
        names
            .iter()
            .all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
    );
}

#[test]
fn homoglyphs_change_every_letter_that_has_one_and_no_other_character() {
    let text = attacked(Attack::Homoglyph, 1.0);
    assert!(!text.contains(['a', 'c', 'e', 'i', 'o', 'p', 'x', 'y', 'A', 'B', 'I', 'M', 'O', 'T']));
    assert_eq!(text.chars().count(), TEXT.chars().count());
    for (before, after) in TEXT.chars().zip(text.chars()) {
        assert!(before == after || (before.is_ascii_alphabetic() && !after.is_ascii()));
    }
    let half = attacked(Attack::Homoglyph, 0.5)
        .chars()
        .filter(|c| !c.is_ascii())
        .count();
    assert_eq!(half, text.chars().filter(|c| !c.is_ascii()).count() / 2);
}

#[test]
fn zero_width_spaces_come_between_all_characters_and_nothing_goes() {
    let text = attacked(Attack::ZeroWidthSpace, 1.0);
    assert_eq!(text.replace('\u{200b}', ""), TEXT);
    assert_eq!(text.matches('\u{200b}').count(), TEXT.chars().count());
    assert_eq!(
        attacked(Attack::ZeroWidthSpace, 0.25).matches('\u{200b}').count(),
        TEXT.chars().count() / 4
    );
}

#[test]
fn whitespace_adds_a_fifth_of_the_spaces_and_leaves_the_words() {
    let text = attacked(Attack::Whitespace, 0.2);
    let words = TEXT.split(' ').count();
    assert_eq!(text.len() - TEXT.len(), words / 5);
    assert!(text.split_whitespace().eq(TEXT.split_whitespace()));
}

#[test]
fn upper_lower_flips_only_first_letters() {
    let text = attacked(Attack::UpperLower, 1.0);
    assert!(text.starts_with("the Neighbors Of mr. smith, A Traveler"), "{text}");
    assert!(text.contains("Didn't"), "{text}");
    let flipped = |text: &str| text.chars().zip(TEXT.chars()).filter(|(a, b)| a != b).count();
    let candidates = flipped(&text);
    assert_eq!(flipped(&attacked(Attack::UpperLower, 0.05)), candidates / 20);
    assert!(text.eq_ignore_ascii_case(TEXT));
    assert_eq!(
        Attack::UpperLower.apply("ßa 中", 1.0, &mut ChaCha8Rng::seed_from_u64(1)),
        "ßa 中"
    );
}

#[test]
fn numbers_keep_their_shape() {
    let text = attacked(Attack::Number, 1.0);
    let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(shape(&text), shape(TEXT));
    let numbers = "10 20 30 40 50 60 70 80";
    for seed in 0..20 {
        let text = Attack::Number.apply(numbers, 0.5, &mut ChaCha8Rng::seed_from_u64(seed));
        let changed = text.split(' ').zip(numbers.split(' ')).filter(|(a, b)| a != b).count();
        assert!(changed <= 4 && text.len() == numbers.len());
    }
}

#[test]
fn article_deletion_takes_articles_only() {
    let rest = |text: &str| -> Vec<String> {
        text.split(' ')
            .filter(|word| !matches!(*word, "a" | "an" | "the"))
            .map(str::to_owned)
            .collect()
    };
    let all = attacked(Attack::ArticleDeletion, 1.0);
    assert_eq!(all.split(' ').collect::<Vec<_>>(), rest(TEXT));
    let half = attacked(Attack::ArticleDeletion, 0.5);
    let deleted = |text: &str| TEXT.split(' ').count() - text.split(' ').count();
    assert_eq!(deleted(&half), deleted(&all) / 2);
    assert_eq!(rest(&half), rest(TEXT));
    let stacked = Attack::ArticleDeletion.apply("x a the an y", 1.0, &mut ChaCha8Rng::seed_from_u64(1));
    assert_eq!(stacked, "x y");
}

#[test]
fn american_becomes_british() {
    let text = attacked(Attack::AlternativeSpelling, 1.0);
    let british = TEXT
        .replace("neighbors", "neighbours")
        .replace("traveler", "traveller")
        .replace("center", "centre")
        .replace("color", "colour")
        .replace("theater", "theatre")
        .replace("analyzed", "analysed")
        .replace("organize", "organise");
    assert_eq!(text, british);
    let cases = Attack::AlternativeSpelling.apply(
        "COLOR Color colorful discolorations",
        1.0,
        &mut ChaCha8Rng::seed_from_u64(1),
    );
    assert_eq!(cases, "COLOUR Colour colourful discolorations");
}

#[test]
fn paragraphs_come_between_sentences() {
    let text = attacked(Attack::InsertParagraphs, 1.0);
    assert_eq!(text.replace("\n\n", ""), TEXT);
    let starts: Vec<&str> = text.split("\n\n").skip(1).map(|paragraph| &paragraph[..3]).collect();
    assert_eq!(starts, ["It ", "\"Re", "But", "On ", "The"]);
    assert_eq!(attacked(Attack::InsertParagraphs, 0.5).matches("\n\n").count(), 2);
}

#[test]
fn misspellings_change_a_fifth_of_all_words_and_keep_the_rest() {
    let text = attacked(Attack::Misspelling, 0.2);
    let (before, after) = (words(TEXT), words(&text));
    assert_eq!(before.len(), after.len());
    let changed: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a.1 != b.1).collect();
    assert_eq!(changed.len(), before.len() / 5);
    for ((_, a), (_, b)) in changed {
        let ways = misspelling::misspellings(&a.to_lowercase()).unwrap();
        assert!(ways.contains(&b.to_lowercase().as_str()), "{a} {b}");
        assert_eq!(a.starts_with(char::is_uppercase), b.starts_with(char::is_uppercase));
    }
}
