//! The policy of the gate.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use whowrote::gate::GatePolicy;

fuzz_target!(|text: &str| {
    let root = Path::new("/repository");
    let Ok(policy) = GatePolicy::parse(text, None, root) else {
        return;
    };
    assert!(policy.alpha > 0.0 && policy.alpha < 1.0);
    for path in ["a.md", "docs/deep/b.rst", "../c", "", "x\n\u{202e}y.txt"] {
        let _ = policy.rule_for(&root.join(path));
    }
});
