//! Guessing at passwords.

use std::io::Read as _;
use std::time::Instant;

use super::raw::{Raw, error_number, response};
use super::server::{PASSWORD, PATIENCE, Server};
use crate::support::clients::{self, outcome};

/// Sends a wrong password; the number of the error.
fn guess(server: &Server) -> u16 {
    let mut raw = Raw::connect(server);
    let greeting = raw.packet().unwrap();
    if greeting[0] == 0xff {
        return error_number(&greeting);
    }
    raw.send(1, &response("caching_sha2_password", &[7; 32])).unwrap();
    error_number(&raw.packet().unwrap())
}

#[tokio::test]
async fn an_address_that_guesses_has_to_wait_and_others_need_not() {
    let server = Server::start();
    let begin = Instant::now();
    // Side by side: what counts is how many there were, not how many came after the answer.
    let told = std::thread::scope(|scope| {
        let guessers: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| (0..15).map(|_| guess(&server)).collect::<Vec<_>>()))
            .collect();
        let told = guessers.into_iter().flat_map(|guesser| guesser.join().unwrap());
        told.collect::<Vec<_>>()
    });
    assert!(told.iter().all(|number| [1045, 1129].contains(number)), "{told:?}");
    assert!(told.contains(&1129), "{told:?}");
    // From then on each wrong password costs a wait; whoever comes meanwhile is told how long, in words that
    // MySQL's client shows.
    let told = loop {
        if guess(&server) == 1129 {
            let mut client = clients::mysql();
            client.args(["-h127.0.0.1", "-uroot", "-e", "SELECT 1"]);
            client.arg(format!("-P{}", server.port)).env("MYSQL_PWD", PASSWORD);
            let (done, _, complaint) = outcome(&mut client);
            if !done {
                break complaint;
            }
        }
        assert!(begin.elapsed() < PATIENCE, "nobody had to wait");
    };
    assert!(
        told.contains("ERROR 1129 (HY000): Host '127.0.0.1' is blocked for ") && told.contains("wrong passwords"),
        "{told}"
    );

    let from_elsewhere = tokio::net::TcpSocket::new_v4().unwrap();
    from_elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let server_address = format!("127.0.0.1:{}", server.port).parse().unwrap();
    let mut socket = from_elsewhere
        .connect(server_address)
        .await
        .unwrap()
        .into_std()
        .unwrap();
    socket.set_nonblocking(false).unwrap();
    let mut greeting = [0; 5];
    socket.read_exact(&mut greeting).unwrap();
    assert_eq!(greeting[4], 10, "it is greeted");

    // The wait ends by itself.
    while Raw::log_in(&server).is_err() {
        assert!(begin.elapsed() < PATIENCE * 2, "the wait has not ended");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}
