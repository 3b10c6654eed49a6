//! `whowrote batch` as a whole: what goes in, what comes out, and what ends it in between. The models are tiny and
//! random.

use crate::common::rows::{Keys, write_parquet};
use crate::common::tiny::{ArchitectureFamily, Tiny, two_models};
use candle_core::DType;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub fn batch(arguments: &[&str]) -> Command {
    let [one, two] = two_models();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("whowrote"));
    command.args(["batch", "--offline", "--decoding", "temperature=1", "--no-prompt"]);
    command.arg("--a").arg(one).arg("--b").arg(two).args(arguments);
    command
}

/// What a command that should end with `code` says on standard output and standard error.
pub fn said(command: &mut Command, code: i32) -> (String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{err}");
    (out, err)
}

fn parsed(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines but for what they took.
pub fn timeless(lines: &str) -> String {
    let cut = |line: &str| line.split(r#","timing":"#).next().unwrap().to_owned() + "\n";
    lines.lines().map(cut).collect()
}

pub fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Texts that differ.
pub fn texts(n: usize) -> Vec<String> {
    let words = [
        "the", "hen", "had", "a", "hat", "at", "ten", "and", "then", "in", "that", "tin",
    ];
    let mut random = StdRng::seed_from_u64(7);
    (0..n)
        .map(|i| {
            let length = random.random_range(5..25);
            let words: Vec<&str> = (0..length)
                .map(|_| words[random.random_range(0..words.len())])
                .collect();
            format!("{} {i}.", words.join(" "))
        })
        .collect()
}

pub fn jsonl(texts: &[String]) -> String {
    let line = |(i, text): (usize, &String)| serde_json::json!({"text": text, "key": i}).to_string() + "\n";
    texts.iter().enumerate().map(line).collect()
}

#[test]
fn every_input_has_its_line_in_a_stable_order() {
    let folder = tempfile::tempdir().unwrap();
    let inside = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    inside("b.txt", b"the hen had a hat");
    inside("a/z.txt", b"ten tin hats");
    inside("a/empty.txt", b"");
    inside("a/latin.txt", b"caf\xe9 at ten");
    inside("a/nul.txt", b"a\0b");
    inside(".hidden.txt", b"the hen");
    inside("skipped.log", b"the hen");
    inside(".ignore", b"*.log\n");
    inside("c.jsonl", b"{\"text\": \"the hat\", \"key\": \"k1\"}\nbroken\n");
    inside("d.csv", b"key,text\n9,\"a hen, a hat\"\n");
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zstd.write_all(b"then the hen had that").unwrap();
    inside("e.txt.zst", &zstd.finish().unwrap());
    let (out, err) = said(&mut batch(&[path(folder.path()), "--id", "key"]), 0);
    let lines = parsed(&out);
    let name = |line: &Value| {
        let name = line["input"]["name"].as_str().unwrap();
        name.strip_prefix(path(folder.path())).unwrap()[1..].to_owned()
    };
    let names: Vec<String> = lines.iter().map(name).collect();
    let expected = [
        "a/empty.txt",
        "a/latin.txt",
        "a/nul.txt",
        "a/z.txt",
        "b.txt",
        "c.jsonl:1",
        "c.jsonl:2",
        "d.csv:1",
        "e.txt.zst",
    ];
    assert_eq!(names, expected);
    let unable: Vec<usize> = (0..lines.len()).filter(|&i| lines[i]["verdict"] == "unable").collect();
    assert_eq!(unable, [0, 1, 2, 6]);
    for i in unable {
        assert_eq!(lines[i]["warnings"][0]["code"], "unreadable");
        assert_eq!(lines[i]["authors"], serde_json::json!([]));
    }
    assert_eq!(
        (&lines[5]["input"]["id"], &lines[7]["input"]["id"]),
        (&"k1".into(), &"9".into())
    );
    assert!(err.starts_with("9 texts; 9 in ") && err.contains("4 unable"), "{err}");
    // The same by a list of paths, in its order.
    let list = format!("{0}/b.txt\n\n{0}/a/z.txt\n{0}/no.txt\n", path(folder.path()));
    let mut command = batch(&["--files-from", "-", "-q"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    let listed = parsed(&String::from_utf8(output.stdout).unwrap());
    let names: Vec<String> = listed.iter().map(name).collect();
    assert_eq!(names, ["b.txt", "a/z.txt", "no.txt"]);
    assert_eq!(listed[0]["hypotheses"], lines[4]["hypotheses"]);
}

#[test]
fn a_text_gets_the_verdict_that_detect_gives_it_whatever_its_company() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = two_models();
    let texts = texts(12);
    let mut expected = String::new();
    let mut paths = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let file = folder.path().join(format!("{i:02}.txt"));
        std::fs::write(&file, text).unwrap();
        let mut detect = Command::new(assert_cmd::cargo::cargo_bin("whowrote"));
        detect.args([
            "detect",
            "--format",
            "json",
            "--offline",
            "--decoding",
            "temperature=1",
            "--no-prompt",
        ]);
        detect.arg("--a").arg(one).arg("--b").arg(two).arg(&file);
        expected += &said(&mut detect, 0).0;
        paths.push(file);
    }
    let (out, _) = said(&mut batch(&[path(folder.path())]), 0);
    assert_eq!(timeless(&out), timeless(&expected));
}

/// What a row of Parquet holds under these names, one inside the other.
fn field<'a>(row: &'a Row, names: &[&str]) -> &'a Field {
    let (first, rest) = names.split_first().unwrap();
    let (_, found) = row.get_column_iter().find(|(name, _)| name == first).unwrap();
    match found {
        Field::Group(inside) if !rest.is_empty() => field(inside, rest),
        found => found,
    }
}

#[test]
fn rows_of_parquet_become_rows_of_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.parquet"), folder.path().join("out.parquet"));
    let texts = texts(5);
    let bodies: Vec<Option<String>> = (0..5).map(|i| (i != 2).then(|| texts[i].clone())).collect();
    write_parquet(&input, Keys::Whole((10..15).collect()), &bodies);
    let arguments = [path(&input), "--text", "body", "--id", "key", "-o", path(&output)];
    said(&mut batch(&arguments), 0);
    let lines = parsed(&std::fs::read_to_string(folder.path().join("out.parquet.jsonl")).unwrap());
    let table = || -> Vec<Row> {
        let file = SerializedFileReader::try_from(output.as_path()).unwrap();
        file.into_iter().map(Result::unwrap).collect()
    };
    let read = table();
    assert_eq!((read.len(), lines.len()), (5, 5));
    for (line, row) in lines.iter().zip(&read) {
        let number = |value: &Value| value.as_f64().map_or(Field::Null, Field::Double);
        let text = |value: &Value| Field::Str(value.as_str().unwrap().to_owned());
        assert_eq!(&text(&line["input"]["id"]), field(row, &["id"]));
        assert_eq!(&text(&line["verdict"]), field(row, &["verdict"]));
        let expected = number(&line["hypotheses"][0]["ln_e_value"]);
        assert_eq!(&expected, field(row, &["hypotheses", "one", "ln_e_value"]));
    }
    let unable: Vec<usize> = (0..5).filter(|&i| lines[i]["verdict"] == "unable").collect();
    assert_eq!(unable, [2]);
    // Started again it has nothing to judge, and makes the same table.
    said(&mut batch(&arguments), 0);
    assert_eq!(table(), read);
    std::fs::remove_file(folder.path().join("out.parquet.jsonl")).unwrap();
    assert!(
        said(&mut batch(&arguments), 2)
            .1
            .contains("the lines it was made from do not")
    );
    assert_eq!(table(), read);
}

#[test]
fn a_text_that_comes_again_is_scored_once_and_has_its_own_line() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.jsonl"), folder.path().join("out.jsonl"));
    let mut all = texts(3);
    // Again at once, in the same window, and in a later one.
    all = [vec![all[0].clone()], all.clone(), texts(400), all].concat();
    std::fs::write(&input, jsonl(&all)).unwrap();
    let (_, err) = said(&mut batch(&[path(&input), "--id", "key", "-o", path(&output)]), 0);
    let lines = parsed(&std::fs::read_to_string(&output).unwrap());
    assert_eq!(lines.len(), all.len());
    let mut seen = std::collections::BTreeMap::new();
    for (i, line) in lines.iter().enumerate() {
        assert_eq!(line["input"]["id"], i.to_string());
        assert_eq!(line["input"]["name"], format!("{}:{}", path(&input), i + 1));
        let figures = (line["hypotheses"].clone(), line["models"].clone());
        match seen.get(&all[i]) {
            None => {
                assert!(line["timing"]["score_ms"].as_f64().unwrap() > 0.0);
                seen.insert(all[i].clone(), figures);
            }
            Some(first) => {
                assert_eq!(&figures, first);
                assert_eq!(line["timing"]["score_ms"], 0.0);
            }
        }
    }
    assert!(err.starts_with(&format!("{} texts", all.len())), "{err}");
    let counted: u64 = err
        .lines()
        .filter(|line| {
            line.starts_with("  ") && !line.contains("   one") && !line.contains("   two") && !line.contains("   human")
        })
        .map(|line| line.split_whitespace().next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(counted, all.len() as u64, "{err}");
}

#[test]
fn values_of_other_fields_come_with_the_results() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.jsonl"), folder.path().join("out.jsonl"));
    let text = &texts(1)[0];
    let lines = [
        json!({"text": text, "label": "human", "n": 3}),
        // The same text, by somebody else.
        json!({"text": text, "label": "model"}),
        json!({"label": "nobody"}),
    ];
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(&input, lines.join("\n")).unwrap();
    let arguments = |confidence| {
        [
            path(&input),
            "--keep",
            "label",
            "--keep",
            "n",
            "--confidence",
            confidence,
            "-o",
            path(&output),
        ]
    };
    said(&mut batch(&arguments("0.9")), 0);
    let results = parsed(&std::fs::read_to_string(&output).unwrap());
    let kept: Vec<&Value> = results.iter().map(|line| &line["input"]["kept"]).collect();
    assert_eq!(
        kept,
        [
            &json!({"label": "human", "n": "3"}),
            &json!({"label": "model"}),
            &json!({"label": "nobody"})
        ]
    );
    assert_eq!(
        (&results[0]["confidence"], &results[1]["confidence"]),
        (&json!(0.9), &json!(0.9))
    );
    // Results that were written with others cannot be resumed.
    let (_, err) = said(&mut batch(&[path(&input), "--keep", "n", "-o", path(&output)]), 2);
    assert!(err.contains("keep: [\"label\",\"n\"] then, [\"n\"] now"), "{err}");
    let (_, err) = said(&mut batch(&arguments("0.8")), 2);
    assert!(err.contains("confidence: 0.9 then, 0.8 now"), "{err}");
    let table = folder.path().join("out.parquet");
    said(&mut batch(&[path(&input), "--keep", "label", "-o", path(&table)]), 0);
    let read = SerializedFileReader::new(std::fs::File::open(&table).unwrap()).unwrap();
    let rows: Vec<String> = read
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().to_string())
        .collect();
    assert!(rows[1].contains("kept: {label: \"model\"}"), "{}", rows[1]);
    // Parquet is read in the same way.
    let (lines, _) = said(
        &mut batch(&[
            path(&table),
            "--text",
            "verdict",
            "--keep",
            "kept.label",
            "--keep",
            "bytes",
        ]),
        0,
    );
    let kept: Vec<Value> = parsed(&lines)
        .iter()
        .map(|line| line["input"]["kept"].clone())
        .collect();
    let bytes = text.len().to_string();
    assert_eq!(kept[0], json!({"kept.label": "human", "bytes": bytes}));
    assert_eq!(kept[2], json!({"kept.label": "nobody", "bytes": "0"}));
}

#[test]
fn shards_are_all_texts_together_and_share_none() {
    let folder = tempfile::tempdir().unwrap();
    for (i, text) in texts(7).iter().enumerate() {
        std::fs::write(folder.path().join(format!("{i}.txt")), text).unwrap();
    }
    std::fs::write(folder.path().join("z.jsonl"), jsonl(&texts(10)[7..])).unwrap();
    std::fs::write(folder.path().join("zz.csv"), "body\nno text\n").unwrap();
    let (whole, _) = said(&mut batch(&[path(folder.path())]), 0);
    let shards: Vec<String> = (1..=3)
        .map(|i| said(&mut batch(&[path(folder.path()), "--shard", &format!("{i}/3")]), 0).0)
        .collect();
    let lines: Vec<Vec<&str>> = shards.iter().map(|shard| shard.lines().collect()).collect();
    let woven: String = (0..11).map(|i| lines[i % 3][i / 3].to_owned() + "\n").collect();
    assert_eq!(timeless(&woven), timeless(&whole));
    assert!(whole.contains("has no column `text`, but body"), "{whole}");
}

/// The run is ended at a random moment, so often, before it is let come to its end.
fn survives(kills: usize, texts: &[String], end: impl Fn(&mut std::process::Child)) {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.jsonl"), folder.path().join("out.jsonl"));
    let reference = folder.path().join("reference.jsonl");
    std::fs::write(&input, jsonl(texts)).unwrap();
    let begin = std::time::Instant::now();
    said(&mut batch(&[path(&input), "-o", path(&reference)]), 0);
    let took = begin.elapsed();
    let mut random = StdRng::seed_from_u64(11);
    let (mut cut, mut moved) = (0, 0);
    for _ in 0..kills {
        let before = std::fs::metadata(&output).map_or(0, |found| found.len());
        let mut child = batch(&[path(&input), "-q", "-o", path(&output)])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Each gets on by some texts beyond those before it, so that moments of the whole run are met.
        let started = Duration::from_millis(random.random_range(0..400));
        std::thread::sleep(started + took.mul_f64(random.random_range(0.0..2.0 / kills as f64)));
        end(&mut child);
        child.wait().unwrap();
        let after = std::fs::read(&output).unwrap_or_default();
        assert!(after.len() as u64 >= before, "finished lines were lost");
        cut += usize::from(!after.is_empty() && !after.ends_with(b"\n"));
        moved += usize::from(after.len() as u64 > before);
    }
    println!("{kills} ends, {moved} of them after new lines, {cut} within one");
    said(&mut batch(&[path(&input), "-q", "-o", path(&output)]), 0);
    let read = |path: &Path| timeless(&std::fs::read_to_string(path).unwrap());
    assert_eq!(read(&output), read(&reference));
    // And once more: there is nothing left to do.
    let (_, err) = said(&mut batch(&[path(&input), "-o", path(&output)]), 0);
    assert!(
        err.contains(&format!("{0} texts, {0} of them earlier; 0 in", texts.len())),
        "{err}"
    );
}

#[test]
fn killed_at_any_moment_it_goes_on_and_the_result_is_the_same() {
    let number = |name: &str, usual: usize| std::env::var(name).map_or(usual, |n| n.parse().unwrap());
    survives(number("BATCH_KILLS", 10), &texts(number("BATCH_TEXTS", 600)), |child| {
        child.kill().unwrap()
    });
}

/// The most memory that a process has had so far, MiB.
#[cfg(target_os = "linux")]
fn peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? >> 10)
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes a quarter of an hour or more"]
fn a_hundred_thousand_texts_take_no_more_memory_than_a_thousand() {
    let mut peaks = Vec::new();
    for n in [1_000, 10_000, 100_000] {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("in.jsonl"), folder.path().join("out.jsonl"));
        // Of about eighty tokens.
        let mut writer = std::io::BufWriter::new(std::fs::File::create(&input).unwrap());
        let mut tokens = 0;
        for parts in texts(2 * n).chunks(2) {
            writeln!(writer, "{}", serde_json::json!({ "text": parts.join(" ") })).unwrap();
        }
        writer.into_inner().unwrap();
        let begin = std::time::Instant::now();
        let mut child = batch(&[path(&input), "-q", "-o", path(&output)]).spawn().unwrap();
        let mut most = 0;
        let status = loop {
            most = most.max(peak(child.id()).unwrap_or(0));
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        assert!(status.success());
        let took = begin.elapsed().as_secs_f64();
        let lines = std::io::BufReader::new(std::fs::File::open(&output).unwrap());
        let mut count = 0;
        for line in std::io::BufRead::lines(lines) {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            tokens += line["models"]["one"]["tokens"].as_u64().unwrap();
            count += 1;
        }
        assert_eq!(count, n);
        println!(
            "{n} texts of {} tokens: {took:.1} s, {:.2} ms a text, at most {most} MiB",
            tokens / n as u64,
            took * 1e3 / n as f64
        );
        peaks.push(most);
    }
    // What a million digests take at most is 64 MiB.
    assert!(peaks[2] < peaks[0] + 64, "{peaks:?}");
}

#[cfg(unix)]
#[test]
fn interrupted_it_finishes_what_it_is_at_and_says_how_to_go_on() {
    let interrupt = |child: &mut std::process::Child| {
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
    };
    survives(3, &texts(300), interrupt);
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.jsonl"), folder.path().join("out.jsonl"));
    std::fs::write(&input, jsonl(&texts(20_000))).unwrap();
    let mut command = batch(&[path(&input), "-o", path(&output)]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    while std::fs::metadata(&output).map_or(0, |found| found.len()) == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    interrupt(&mut child);
    let ended = child.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{err}");
    assert!(err.contains("run the same command again"), "{err}");
    let lines = std::fs::read_to_string(&output).unwrap();
    assert!(lines.ends_with('\n'));
    assert!(
        err.contains(&format!("stopped after {} texts", lines.lines().count())),
        "{err}"
    );
}

#[test]
fn what_does_not_belong_together_is_refused_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("texts");
    std::fs::create_dir(&corpus).unwrap();
    let text = |name: &str, text: &str| std::fs::write(corpus.join(name), text).unwrap();
    for (name, words) in [("a.txt", "the hen"), ("b.txt", "a hat"), ("d.txt", "ten tins")] {
        text(name, words);
    }
    // Among the texts, which it is none of.
    let output = corpus.join("c.jsonl");
    let arguments = [path(&corpus), "-q", "-o", path(&output)];
    said(&mut batch(&arguments), 0);
    let results = std::fs::read(&output).unwrap();
    assert_eq!(results.iter().filter(|&&byte| byte == b'\n').count(), 3);
    let refused = |more: &[&str]| {
        let (_, err) = said(&mut batch(&[&arguments[..], more].concat()), 2);
        assert_eq!(std::fs::read(&output).unwrap(), results);
        err
    };
    assert!(refused(&["--alpha", "0.1"]).contains("alpha: 0.05 then, 0.1 now"));
    assert!(refused(&["--shard", "1/2"]).contains("shard: \"1/1\" then, \"1/2\" now"));
    text("b.txt", "another hat");
    let said_of_change = refused(&[]);
    assert!(
        said_of_change.contains("line 2") && said_of_change.contains("b.txt"),
        "{said_of_change}"
    );
    text("b.txt", "a hat");
    text("aa.txt", "new");
    assert!(refused(&[]).contains("aa.txt"));
    std::fs::remove_file(corpus.join("aa.txt")).unwrap();
    std::fs::rename(corpus.join("d.txt"), folder.path().join("d.txt")).unwrap();
    assert!(refused(&[]).contains("fewer texts"));
    // A longer input is gone on with.
    std::fs::rename(folder.path().join("d.txt"), corpus.join("d.txt")).unwrap();
    text("e.txt", "one more hen");
    said(&mut batch(&arguments), 0);
    let longer = std::fs::read(&output).unwrap();
    assert!(longer.starts_with(&results) && longer.len() > results.len());
    // Earlier results that match a pattern of the shell are not taken for texts.
    let table = corpus.join("t.parquet");
    let named: Vec<PathBuf> = ["a.txt", "c.jsonl", "t.parquet", "t.parquet.jsonl"]
        .map(|name| corpus.join(name))
        .into();
    for _ in 0..2 {
        let mut command = batch(&["-q", "-o", path(&table)]);
        said(
            command.args(named.iter().filter(|path| path.exists() && !path.ends_with("c.jsonl"))),
            0,
        );
    }
    let lines = std::fs::read_to_string(corpus.join("t.parquet.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    for name in ["t.parquet", "t.parquet.jsonl", "t.parquet.jsonl.state"] {
        std::fs::remove_file(corpus.join(name)).unwrap();
    }
    // Another model under the same name.
    let other = folder.path().join("one");
    Tiny::new(ArchitectureFamily::Llama, 3).write_folder(&other, DType::F32, 1);
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("whowrote"));
    command.args(["batch", "--offline", "--decoding", "temperature=1", "--no-prompt"]);
    command
        .arg("--a")
        .arg(&other)
        .arg("--b")
        .arg(&two_models()[1])
        .args(arguments);
    assert!(said(&mut command, 2).1.contains("models"));
    // The input itself is never written.
    let (_, err) = said(&mut batch(&[path(&output), "-o", path(&output)]), 2);
    assert!(err.contains("is an input of this command"), "{err}");
    said(
        &mut batch(&[&arguments[..], &["--overwrite", "--alpha", "0.1"]].concat()),
        0,
    );
}

#[test]
fn one_writer_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.jsonl"), folder.path().join("out.jsonl"));
    std::fs::write(&input, jsonl(&texts(20_000))).unwrap();
    let mut first = batch(&[path(&input), "-q", "-o", path(&output)]).spawn().unwrap();
    while !output.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (_, err) = said(&mut batch(&[path(&input), "-o", path(&output)]), 2);
    assert!(err.contains("another whowrote is writing"), "{err}");
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn a_command_line_that_cannot_be_done_is_told_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "the hen").unwrap();
    let here = path(folder.path());
    for (arguments, sentence) in [
        (&[][..], "there is nothing to judge"),
        (&["no/such"], "does not exist"),
        (&["-", "-"], "more than once"),
        (&["--files-from", "no/list"], "the list `no/list` does not exist"),
        (&[here, "-o", "out.csv"], "end in .jsonl or .parquet"),
        (&["-", "--input-format", "text"], "is read as JSONL"),
        (&[here, "--glob", "a{b"], "is not a pattern"),
        (&[here, "--shard", "3/2"], "1/8 or 8/8"),
        (&[here, "--memory", "much"], "such as 4GiB"),
        (&[here, "-o", "/"], "it is a folder"),
        (&[here, "--overwrite"], "--output"),
    ] {
        let (out, err) = said(&mut batch(arguments), 2);
        assert!(err.contains(sentence) && out.is_empty(), "{arguments:?}: {err}");
    }
}
