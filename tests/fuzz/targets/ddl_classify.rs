//! Statements of the binlog: each is understood, or an error; what is understood has its names within its text.
#![no_main]

use causeway::ddl::{StatementContext, classify};

libfuzzer_sys::fuzz_target!(|input: (u64, &str)| {
    let (sql_mode, text) = input;
    let context = StatementContext {
        default_database: Some("shop"),
        sql_mode,
        server_version: 90704,
    };
    if let Ok(statement) = classify(text, &context) {
        let _ = format!("{statement:?}");
        statement.targets().for_each(drop);
    }
});
