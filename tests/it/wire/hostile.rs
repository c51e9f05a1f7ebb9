//! What strangers and broken clients send. After each of it the process must live, keep its memory, and serve others.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::raw::{Raw, error_number, framed, response};
use super::real_clients::mysql_selects_one;
use super::server::{PATIENCE, Server};

/// What memory may grow by under attack, in KiB. An unlimited reader would take some hundred thousand.
const ALLOWED_GROWTH_KIB: u64 = 32 << 10;

fn still_serves(server: &mut Server, after: &str) {
    assert!(server.is_alive(), "the process died of {after}");
    Raw::log_in(server)
        .unwrap_or_else(|number| panic!("no login after {after}: error {number}"))
        .select_one();
}

/// Writes until the server has enough of it.
fn push(raw: &mut Raw, bytes: &[u8]) {
    if let Err(error) = raw.socket.write_all(bytes) {
        assert!(
            matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
            "{error}"
        );
    }
}

#[test]
fn hostile_bytes_before_login_neither_kill_nor_bloat_nor_block_the_endpoint() {
    let mut server = Server::start();
    still_serves(&mut server, "its start");
    let before = server.peak_kib();
    let seed = rand::rng().random::<u64>();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut noise = |bytes: usize| -> Vec<u8> { (0..bytes).map(|_| random.random()).collect() };

    let native = response("mysql_native_password", b"");
    let ssl_request = framed(
        1,
        &[&(1u32 << 9 | 1 << 11 | 1 << 15).to_le_bytes()[..], &[0; 28]].concat(),
    );
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("half a header", vec![5, 0]),
        ("an empty packet", framed(1, b"")),
        ("two packets at once", [framed(1, &native), framed(3, b"x")].concat()),
        ("a hundred packets at once", framed(1, &native).repeat(100)),
        (
            "a packet of 16 MiB, of which 64 MiB come",
            [vec![0xff, 0xff, 0xff, 1], vec![b'x'; 64 << 20]].concat(),
        ),
        ("a packet of 16 MiB, of which nothing comes", vec![0xff, 0xff, 0xff, 1]),
        ("sequence number 0", framed(0, &native)),
        ("sequence number 255", framed(255, &native)),
        ("a response that ends early", framed(1, &native[..35])),
        (
            "a password of 2^64 bytes",
            framed(
                1,
                &[
                    &(1u32 << 9 | 1 << 21).to_le_bytes()[..],
                    &[0; 28],
                    b"root\0\xfe",
                    &[0xff; 8],
                ]
                .concat(),
            ),
        ),
        ("a 3.20 client", framed(1, b"\x00\x00\x00\x00\x00root\0")),
        ("an HTTP request", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        (
            "TLS without asking",
            [b"\x16\x03\x01\x02\x00\x01".to_vec(), noise(512)].concat(),
        ),
        ("TLS asked for and not begun", ssl_request.clone()),
        ("TLS garbage", [ssl_request.clone(), noise(5000)].concat()),
        (
            "a TLS record of garbage",
            [
                ssl_request.clone(),
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
                noise(505),
            ]
            .concat(),
        ),
        (
            "a login behind a TLS request",
            [ssl_request, framed(2, &native)].concat(),
        ),
        (
            "garbage for a password",
            [framed(1, &native), framed(3, &noise(9000))].concat(),
        ),
        ("noise", noise(20_000)),
    ];
    for (name, bytes) in cases {
        let attackers: Vec<Raw> = (0..10)
            .map(|_| {
                let mut raw = Raw::connect(&server);
                push(&mut raw, &bytes);
                raw
            })
            .collect();
        still_serves(&mut server, name);
        drop(attackers);
    }
    still_serves(&mut server, "all of it");
    let growth = server.peak_kib().saturating_sub(before);
    assert!(growth < ALLOWED_GROWTH_KIB, "memory grew by {growth} KiB");
}

#[test]
fn a_broken_login_is_told_what_is_wrong_with_it() {
    let server = Server::start();
    let check = |sequence: u8, payload: &[u8], expected: u16| {
        let mut raw = Raw::connect(&server);
        raw.packet().unwrap();
        raw.send(sequence, payload).unwrap();
        assert_eq!(error_number(&raw.packet().unwrap()), expected);
        raw.drain();
    };
    check(0, &response("caching_sha2_password", b""), 1156);
    check(1, &[b'x'; 100 << 10], 1153);
    check(1, b"\x00\x02", 1043);
    check(1, b"\x00\x00\x00\x00\x00root\0", 1251);
    check(
        1,
        &[&(1u32 << 9).to_le_bytes()[..], &[0; 28], b"root\0\0"].concat(),
        1251,
    );
    check(1, &response("caching_sha2_password", b""), 1045);
    check(1, &response("caching_sha2_password", &[7; 32]), 1045);
}

#[test]
fn five_hundred_half_open_connections_leave_room_for_real_clients() {
    let mut server = Server::start();
    let before = server.peak_kib();
    let connect = || TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let held: Vec<TcpStream> = (0..500).map(|_| connect()).collect();
    mysql_selects_one(&server);

    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !enough.load(Ordering::Relaxed) {
                let _held: Vec<TcpStream> = (0..20).map(|_| connect()).collect();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        for _ in 0..5 {
            mysql_selects_one(&server);
        }
        enough.store(true, Ordering::Relaxed);
    });
    drop(held);
    let growth = server.peak_kib().saturating_sub(before);
    assert!(growth < ALLOWED_GROWTH_KIB, "memory grew by {growth} KiB");
    still_serves(&mut server, "half-open connections");
}

#[test]
fn one_that_sends_a_byte_now_and_then_is_cut_off() {
    let mut server = Server::start();
    let mut slow: Vec<Raw> = (0..20).map(|_| Raw::connect(&server)).collect();
    let mut bytes = framed(1, &[b'x'; 10_000]).into_iter();
    let started = Instant::now();
    while !slow.is_empty() {
        let byte = [bytes.next().unwrap()];
        slow.retain_mut(|raw| raw.socket.write_all(&byte).is_ok());
        assert!(started.elapsed() < PATIENCE, "{} are still there", slow.len());
        std::thread::sleep(Duration::from_millis(100));
    }
    still_serves(&mut server, "slow senders");
}

#[test]
fn odd_commands_are_answered_and_leave_the_connection_usable() {
    let mut server = Server::start();
    let mut raw = Raw::log_in(&server).unwrap();
    let mut check = |command: &[u8], expected: &str| {
        raw.send(0, command).unwrap();
        if expected != "silence" {
            let answer = raw.packet().unwrap();
            let told = match answer[0] {
                0x00 => "ok".to_owned(),
                0xfe => "end".to_owned(),
                _ => error_number(&answer).to_string(),
            };
            assert_eq!(told, expected, "{command:?}");
        }
        raw.select_one();
    };
    check(b"", "1047");
    check(b"\x00", "1047"); // sleep
    check(b"\x04table\0", "end"); // list of fields
    check(b"\x0a", "1064"); // process list, which this handler does not know
    check(b"\x0c\x01\0\0\0", "1064"); // kill, likewise
    check(b"\x0c\x01\0", "1047"); // kill, cut short
    check(b"\x0e", "ok"); // ping
    check(b"\x11root\0\0sync\0", "1047"); // change of user
    check(b"\x12\x04\0\0\0\0\0\x01\0\0\0log", "1047"); // binlog dump
    check(b"\x1e", "1047"); // binlog dump by GTID
    check(b"\x1b\x00\x00", "end"); // set option
    check(b"\x1f", "ok"); // reset of the connection
    check(b"\x17\x09\0\0\0\0\x01\0\0\0", "1243"); // execute what was not prepared
    check(b"\x17\x09", "1047"); // execute, cut short
    check(b"\x18\x09\0\0\0\0\0data", "silence"); // long data for it
    check(b"\x18\x09", "silence"); // cut short
    check(b"\x19\x09\0\0\0", "silence"); // close it
    check(b"\x1a\x09\0\0\0", "1243"); // reset it
    check(&[b"\x16", "?,".repeat(70_000).as_bytes()].concat(), "1390"); // more parameters than can be counted
    check(b"\x16\xff", "1300");
    check(b"\x02nowhere", "1049");
    check(b"\x02sync", "ok");
    check(b"\x02\xff", "1300");
    check(b"\x03use `sync`;", "ok");
    check(b"\x03USE nowhere", "1049");
    check(b"\x03\xff\xfe", "1300");
    check(b"\x03", "1064");
    check(b"\x03FAIL", "1227");
    check(b"\x03PANIC", "1105");
    check(b"\xff", "1047");
    check(&[b"\x03", vec![b'x'; 8 << 20].as_slice()].concat(), "1064");
    still_serves(&mut server, "odd commands");
}

#[test]
fn statements_of_one_packet_are_answered_up_to_the_first_that_fails() {
    let server = Server::start();
    let mut raw = Raw::log_in(&server).unwrap();
    // Only if the client said that it knows of several answers.
    assert_eq!(error_number(&raw.command(b"\x03CHANGE 1; CHANGE 2")), 1064);
    assert_eq!(raw.command(b"\x1b\0\0")[0], 0xfe);
    let more = |packet: &[u8]| packet[packet.len() - 4] & 8 != 0;
    let first = raw.command(b"\x03CHANGE 1; CHANGE 2; FAIL; HANG");
    let second = raw.packet().unwrap();
    assert_eq!((&first[..2], more(&first)), (&[0, 1][..], true));
    assert_eq!((&second[..2], more(&second)), (&[0, 2][..], true));
    assert_eq!(error_number(&raw.packet().unwrap()), 1227);
    let last = raw.command(b"\x03CHANGE 1;");
    assert!(!more(&last));
    assert_eq!(raw.command(b"\x1b\x01\0")[0], 0xfe);
    assert_eq!(error_number(&raw.command(b"\x03CHANGE 1; CHANGE 2")), 1064);
    raw.select_one();
}

#[test]
fn parameters_arrive_whole_or_in_pieces() {
    let server = Server::start();
    let mut raw = Raw::log_in(&server).unwrap();
    let prepared = raw.command(b"\x16SELECT ?, ?");
    assert_eq!((prepared[0], &prepared[5..9]), (0, &[0, 0, 2, 0][..]));
    let id = prepared[1..5].to_vec();
    for _ in 0..2 + 1 {
        raw.packet().unwrap(); // the parameters, end of list
    }
    for piece in [b"lo", b"ng"] {
        raw.send(0, &[b"\x18", &id[..], &[1, 0], piece].concat()).unwrap();
    }
    let execute = |values: &[u8]| [b"\x17", &id[..], b"\0\x01\0\0\0\0\x01\x08\0\xfd\0", values].concat();
    assert_eq!(raw.command(&execute(b"\x05\0\0\0\0\0\0\0")), [2]);
    let rest: Vec<_> = (0..5).map(|_| raw.packet().unwrap()).collect();
    assert_eq!(rest[3], b"\0\0\x015\x04long");
    // The pieces are used up; the value is due with the packet now.
    assert_eq!(error_number(&raw.command(&execute(b"\x05\0\0\0\0\0\0\0"))), 1210);
    raw.select_one();
}

#[test]
fn prepared_statements_run_until_closed_and_only_so_many() {
    let server = Server::start();
    let mut raw = Raw::log_in(&server).unwrap();
    let prepared = raw.command(b"\x16SELECT 1");
    assert_eq!((prepared[0], &prepared[5..9]), (0, &[0; 4][..]));
    let with_id = |command: u8| [&[command], &prepared[1..5], b"\0\x01\0\0\0"].concat();
    assert_eq!(raw.command(&with_id(0x17)), [1]);
    let rest: Vec<_> = (0..4).map(|_| raw.packet().unwrap()).collect();
    assert_eq!(rest[2], b"\0\0\x01\0\0\0\0\0\0\0");
    assert_eq!(raw.command(&with_id(0x1a))[0], 0);
    raw.send(0, &with_id(0x19)).unwrap();
    assert_eq!(error_number(&raw.command(&with_id(0x17))), 1243);

    for _ in 0..256 {
        assert_eq!(raw.command(b"\x16SELECT 1")[0], 0);
    }
    assert_eq!(error_number(&raw.command(b"\x16SELECT 1")), 1461);
    assert_eq!(raw.command(b"\x1f")[0], 0);
    let text = [b"\x16", vec![b'x'; 9 << 20].as_slice()].concat();
    assert_eq!(raw.command(&text)[0], 0);
    assert_eq!(error_number(&raw.command(&text)), 1461);
}

#[test]
fn a_connection_that_breaks_the_protocol_is_told_and_closed_alone() {
    let mut server = Server::start();
    let mut bystander = Raw::log_in(&server).unwrap();
    let before = server.peak_kib();
    let mut check = |bytes: &[u8], expected: u16| {
        let mut raw = Raw::log_in(&server).unwrap();
        push(&mut raw, bytes);
        assert_eq!(error_number(&raw.packet().unwrap()), expected);
        raw.drain();
        bystander.select_one();
    };
    check(&framed(1, b"\x03SELECT 1"), 1156);
    check(&framed(255, b"\x0e"), 1156);
    check(&[0xff, 0xff, 0xff, 0], 1153);
    let mut raw = Raw::log_in(&server).unwrap();
    push(&mut raw, &[vec![0xff, 0xff, 0xff, 0], vec![b'x'; 64 << 20]].concat());
    raw.drain();
    let growth = server.peak_kib().saturating_sub(before);
    assert!(growth < ALLOWED_GROWTH_KIB, "memory grew by {growth} KiB");
    still_serves(&mut server, "broken connections");
}

#[test]
fn noise_after_login_harms_nobody_else() {
    let mut server = Server::start();
    let mut bystander = Raw::log_in(&server).unwrap();
    let before = server.peak_kib();
    let seed = rand::rng().random::<u64>();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..300 {
        let mut raw = Raw::log_in(&server).unwrap();
        let mut bytes: Vec<u8> = (0..random.random_range(1..3000)).map(|_| random.random()).collect();
        if random.random() {
            bytes = framed(0, &bytes); // then at least the packet is whole
        }
        push(&mut raw, &bytes);
        bystander.select_one();
    }
    let growth = server.peak_kib().saturating_sub(before);
    assert!(growth < ALLOWED_GROWTH_KIB, "memory grew by {growth} KiB");
    still_serves(&mut server, "noise");
}

#[test]
fn commands_sent_at_once_are_answered_one_after_the_other() {
    let server = Server::start();
    let mut raw = Raw::log_in(&server).unwrap();
    let pings = framed(0, b"\x0e").repeat(1000);
    raw.socket.write_all(&pings).unwrap();
    for _ in 0..1000 {
        assert_eq!(raw.packet().unwrap()[0], 0);
    }
    raw.socket
        .write_all(&[framed(0, b"\x0e"), framed(0, b"\x01"), framed(0, b"\x0e")].concat())
        .unwrap();
    assert_eq!(raw.drain(), 11, "the ping before the farewell, and nothing after it");
}

#[test]
fn sessions_are_limited_and_one_that_does_not_read_gives_its_place_back() {
    let server = Server::with_sessions(1, Duration::from_millis(500));
    let mut greedy = Raw::log_in(&server).unwrap();
    assert_eq!(Raw::log_in(&server).err(), Some(1040));
    greedy.send(0, b"\x03SELECT MEBIBYTES 64").unwrap();
    let started = Instant::now();
    let mut next = loop {
        match Raw::log_in(&server) {
            Ok(raw) => break raw,
            Err(number) => assert_eq!(number, 1040),
        }
        assert!(
            started.elapsed() < PATIENCE,
            "the session that does not read is still there"
        );
        std::thread::sleep(Duration::from_millis(50));
    };
    next.select_one();
    assert!(greedy.drain() < 64 << 20);
}

#[test]
fn an_idle_session_is_closed() {
    let server = Server::with_idle_time(Duration::from_millis(300));
    let mut raw = Raw::log_in(&server).unwrap();
    raw.select_one();
    assert_eq!(raw.drain(), 0);
}
