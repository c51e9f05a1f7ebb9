//! What strangers send: answers to the greeting, and commands.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| causeway::admin::wire::read_untrusted(bytes));
