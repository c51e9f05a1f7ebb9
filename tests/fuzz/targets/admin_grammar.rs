//! Any text is a statement or an error, and a task that can be made can be made again from what SHOW CREATE says.
#![no_main]

use causeway::admin::grammar::text::{parameters, statements, with_values, without_secrets};
use causeway::admin::grammar::{Statement, parse, print_create};

libfuzzer_sys::fuzz_target!(|text: &str| {
    without_secrets(text);
    with_values(text, &vec![causeway::admin::reply::Cell::Int(1); parameters(text)]);
    statements(text);
    if let Ok(Statement::CreateTask { task, .. }) = parse(text) {
        let printed = print_create(&task);
        match parse(&printed) {
            Ok(Statement::CreateTask { task: again, .. }) => assert_eq!(again, task, "{printed}"),
            other => panic!("{printed}: {other:?}"),
        }
    }
});
