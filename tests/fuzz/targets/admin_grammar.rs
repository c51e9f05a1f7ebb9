//! Any text is a statement or an error, and a task that can be made can be made again from what SHOW CREATE says.
#![no_main]

use causeway::admin::grammar::{Statement, parse, print_create, without_secrets};

libfuzzer_sys::fuzz_target!(|text: &str| {
    without_secrets(text);
    if let Ok(Statement::CreateTask { task, .. }) = parse(text) {
        let printed = print_create(&task);
        match parse(&printed) {
            Ok(Statement::CreateTask { task: again, .. }) => assert_eq!(again, task, "{printed}"),
            other => panic!("{printed}: {other:?}"),
        }
    }
});
