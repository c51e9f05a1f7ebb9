//! The demo, as a newcomer runs it.

use std::process::{Command, Stdio};

#[test]
fn the_demo_ends_with_both_sides_equal_and_leaves_nothing_behind() {
    let folder = std::env::temp_dir().join(format!("causeway-demo-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(["demo", "--once"])
        .env("TMPDIR", &folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{told}\n{failed}", output.status);
    assert!(told.ends_with("Both sides agree.\n"), "{told}");
    // Servers and proxy worked in folders here, which go when they do.
    let left: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    std::fs::remove_dir(&folder).unwrap();
}
