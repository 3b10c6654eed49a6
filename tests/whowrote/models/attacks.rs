//! What RAID's mechanical attacks do to verdicts. The measurement takes texts whose authors are known, and is run on
//! demand: `VALIDITY_TEXTS=FOLDER UPDATE_VALIDITY=1 cargo test --release --test whowrote attacks -- --ignored`, with a
//! line `{"author": …, "text": …}` for each text in FOLDER/attacks.jsonl.

use crate::common::document::{documented, share};
use crate::common::known::{known_texts, reports};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use whowrote::input::disguise::undisguise;
use whowrote_attacks::Attack;

const PERSON: &str = include_str!("../../../samples/letter.txt");

#[test]
fn what_can_be_undone_is_undone_at_the_published_rates() {
    let plain = undisguise(PERSON).text;
    for attack in [Attack::Homoglyph, Attack::ZeroWidthSpace, Attack::Whitespace] {
        let mut rng = StdRng::seed_from_u64(1);
        let attacked = attack.apply(&plain, attack.rate(), &mut rng);
        assert_ne!(attacked, plain);
        assert_eq!(undisguise(&attacked).text, plain, "{}", attack.name());
    }
}

#[derive(Default)]
struct Row {
    texts: u64,
    retained: u64,
    alone: u64,
    raw_retained: u64,
    raw_alone: u64,
    right_retained: u64,
    right_alone: u64,
    warned: u64,
}

#[test]
#[ignore = "takes texts of known authors in the folder VALIDITY_TEXTS, and half an hour"]
fn how_far_attacks_move_verdicts() {
    let mut texts = Vec::new();
    for (i, (author, text)) in known_texts("attacks.jsonl").into_iter().enumerate() {
        for attack in Attack::ALL {
            let mut rng = StdRng::seed_from_u64(i as u64);
            let attacked = attack.apply(&text, attack.rate(), &mut rng);
            texts.push((format!("{}/{author}/{i}", attack.name()), attacked));
        }
        texts.push((format!("none/{author}/{i}"), text));
    }
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    for report in reports(&texts) {
        let id: Vec<&str> = report["input"]["id"].as_str().unwrap().split('/').collect();
        let left = |of: &Value| {
            let authors = of["authors"].as_array().unwrap();
            let there = authors.iter().any(|author| author == id[1]);
            (u64::from(there), u64::from(there && authors.len() == 1))
        };
        let or_as_it_is = |other: &'_ Value| match other {
            Value::Null => left(&report),
            other => left(other),
        };
        let row = rows.entry((id[0].to_owned(), id[1].to_owned())).or_default();
        let (retained, alone) = left(&report);
        let (raw_retained, raw_alone) = or_as_it_is(&report["disguises"]["raw"]);
        let (right_retained, right_alone) = or_as_it_is(&report["misspellings"]["corrected"]);
        row.texts += 1;
        row.retained += retained;
        row.alone += alone;
        row.raw_retained += raw_retained;
        row.raw_alone += raw_alone;
        row.right_retained += right_retained;
        row.right_alone += right_alone;
        let warnings = report["warnings"].as_array().unwrap();
        row.warned += u64::from(warnings.iter().any(|warning| {
            matches!(
                warning["code"].as_str(),
                Some("disguised" | "misspelt" | "outside-calibration")
            )
        }));
    }
    let mut table = String::from(
        "\n| attack | texts by | n | author kept | as it came | put right | author alone | as it came | put right | warned |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for attack in ["none"].into_iter().chain(Attack::ALL.map(Attack::name)) {
        for ((_, author), row) in rows.iter().filter(|((name, _), _)| name == attack) {
            let n = row.texts;
            writeln!(
                table,
                "| {attack} | {author} | {n} | {} | {} | {} | {} | {} | {} | {} |",
                share(row.retained, n),
                share(row.raw_retained, n),
                share(row.right_retained, n),
                share(row.alone, n),
                share(row.raw_alone, n),
                share(row.right_alone, n),
                row.warned
            )
            .unwrap();
        }
    }
    documented("attacks", &table);
}
