//! Calls as bytes and headers, for what no client of gRPC would send.

use std::io;

use bytes::Bytes;
use h2::client::{self, ResponseFuture, SendRequest};
use prost::Message;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tonic::{
    Status,
    codegen::http::{HeaderMap, HeaderName, HeaderValue, Request},
};

use crate::daemon::{Daemon, PATIENCE};

/// Plain gRPC.
pub(crate) const GRPC: &str = "application/grpc";
/// gRPC-Web.
pub(crate) const WEB: &str = "application/grpc-web+proto";

/// A connection over HTTP/2.
pub(crate) async fn connect(daemon: &Daemon) -> SendRequest<Bytes> {
    connect_with(daemon, &client::Builder::new()).await
}

/// One with settings of its own.
pub(crate) async fn connect_with(daemon: &Daemon, builder: &client::Builder) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(daemon.address())
        .await
        .expect("connected");
    let (sender, connection) = builder.handshake(socket).await.expect("HTTP/2");
    // It ends with the daemon, or when the daemon has had enough.
    tokio::spawn(async move { connection.await.ok() });
    sender
}

/// A connection from an address of this machine.
pub(crate) async fn socket_from(address: &str, daemon: &Daemon) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(format!("{address}:0").parse().expect("an address"))?;
    let daemon = daemon.address().parse().expect("an address");
    socket.connect(daemon).await
}

/// One over HTTP/2.
pub(crate) async fn connect_from(address: &str, daemon: &Daemon) -> SendRequest<Bytes> {
    let socket = socket_from(address, daemon).await.expect("connected");
    let (sender, connection) = client::handshake(socket).await.expect("HTTP/2");
    tokio::spawn(async move { connection.await.ok() });
    sender
}

/// The head of a call.
pub(crate) fn head(path: &str, content_type: &str, authorization: &[&str]) -> Request<()> {
    let mut request = Request::post(format!("http://localhost{path}"))
        .header("content-type", content_type)
        .header("te", "trailers");
    for value in authorization {
        request = request.header("authorization", *value);
    }
    request.body(()).expect("a request")
}

/// Sends a head of which the message never comes, and reads the status that stands in the answer's.
pub(crate) async fn status_of_head(
    sender: &SendRequest<Bytes>,
    request: Request<()>,
) -> Option<Status> {
    let mut sender = sender.clone().ready().await.expect("ready");
    let (answer, _unsent) = sender.send_request(request, false).expect("sent");
    status_of(answer).await
}

/// Sends a call with its one message, and reads the status that stands in the answer's head.
pub(crate) async fn status_of_call(
    sender: &SendRequest<Bytes>,
    request: Request<()>,
    message: &impl Message,
) -> Option<Status> {
    let mut sender = sender.clone().ready().await.expect("ready");
    let (answer, mut body) = sender.send_request(request, false).expect("sent");
    let message = framed(message).into();
    body.send_data(message, true).expect("sent");
    status_of(answer).await
}

/// A message as it goes over the wire: not compressed, and its length before it.
pub(crate) fn framed(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0][..], &length.to_be_bytes(), &message].concat()
}

/// The status in the head of an answer.
pub(crate) async fn status_of(answer: ResponseFuture) -> Option<Status> {
    let answer = timeout(PATIENCE, answer)
        .await
        .expect("in time")
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    Status::from_header_map(answer.headers())
}

/// Sends bytes over a connection of their own and reads what comes until it is closed, or until
/// `enough` of it has come.
pub(crate) async fn exchange(
    daemon: &Daemon,
    bytes: &[u8],
    enough: impl Fn(&[u8]) -> bool,
) -> Vec<u8> {
    let mut socket = TcpStream::connect(daemon.address())
        .await
        .expect("connected");
    // It may be closed before all is sent.
    socket.write_all(bytes).await.ok();
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while !enough(&read) {
        match timeout(PATIENCE, socket.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(length)) => read.extend_from_slice(&buffer[..length]),
            Err(late) => panic!("neither answered nor closed, {late}: {}", daemon.log()),
        }
    }
    read
}

/// A call over HTTP/1.1 with these headers and no message: the line of the status and the headers.
pub(crate) async fn over_http1(
    daemon: &Daemon,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (String, HeaderMap) {
    over_http1_with(daemon, method, path, headers, "").await
}

/// The same with a message.
pub(crate) async fn over_http1_with(
    daemon: &Daemon,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    message: &str,
) -> (String, HeaderMap) {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text += "\r\n";
    text += message;
    let is_whole = |read: &[u8]| read.windows(4).any(|four| four == b"\r\n\r\n");
    let read = exchange(daemon, text.as_bytes(), is_whole).await;
    let read = String::from_utf8_lossy(&read).into_owned();
    let mut lines = read.split("\r\n");
    let status = lines.next().expect("a line").to_owned();
    let mut answered = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").expect("a header");
        let name: HeaderName = name.parse().expect("a name");
        answered.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    (status, answered)
}
