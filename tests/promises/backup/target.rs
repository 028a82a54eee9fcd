//! What a backup is written over, and where it is asked for, is looked at first.

use std::{fs, net::TcpListener, os::unix::fs::symlink, thread};

use tempfile::tempdir;

use super::{backup, read, refused, text, write};
use crate::daemon::Daemon;

#[tokio::test]
async fn a_backup_is_replaced_only_by_one_that_holds_all_of_it() {
    let (dir, kept) = (tempdir().expect("a directory"), tempdir().expect("another"));
    let file = |name: &str| kept.path().join(name);
    let (full, daily, other) = (file("full"), file("daily"), file("other"));
    let daemon = Daemon::start(dir.path()).await;
    let url = daemon.url();
    write(&daemon, "growth", 2).await;
    backup(&daemon, &full, &[]);
    write(&daemon, "bakery", 1).await;
    backup(&daemon, &daily, &["--after", text(&full)]);
    write(&daemon, "thrift", 0).await;

    // The line of the schedule, run a second time on the same day.
    let again = [
        "backup",
        text(&daily),
        "--from",
        &url,
        "--overwrite",
        "--after",
    ];
    let said = refused(&[&again[..], &[text(&daily)]].concat());
    assert!(said.contains("is the backup that --after names"), "{said}");
    assert_eq!(read(&daily).0.trailer.head, 5);
    backup(&daemon, &daily, &["--overwrite", "--after", text(&full)]);
    assert_eq!(read(&daily).0.trailer.head, 6);
    let part = ["backup", text(&full), "--from", &url, "--overwrite"];
    let said = refused(&[&part[..], &["--from-position", "2"]].concat());
    assert!(said.contains("holds commits that the new backup"), "{said}");
    assert_eq!(read(&full).0.trailer.head, 3);

    symlink(&full, &other).expect("linked");
    let said = refused(&["backup", text(&other), "--from", &url, "--overwrite"]);
    assert!(said.contains("is no backup"), "{said}");
    for (name, expected) in [
        ("/dev/null", "is no backup"),
        (text(kept.path()), "this is a directory"),
        ("-", "not written to standard output"),
    ] {
        let said = refused(&["backup", name, "--from", &url, "--overwrite"]);
        assert!(said.contains(expected), "{expected}: {said}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_no_stratad_is_named_as_such() {
    let kept = tempdir().expect("a directory");
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for mut stream in listener.incoming().flatten() {
            // A connection that is closed with bytes unread is reset, and the answer lost.
            let mut asked = [0; 24];
            stream.read_exact(&mut asked).expect("asked");
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                .ok();
            stream.read_to_end(&mut Vec::new()).ok();
        }
    });
    let file = kept.path().join("full.strata");
    let said = refused(&["backup", text(&file), "--from", &address]);
    assert!(said.contains("no stratad answers at"), "{said}");
    assert!(fs::metadata(&file).is_err());
}
