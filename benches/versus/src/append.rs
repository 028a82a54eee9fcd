//! The bare server that also writes: what an answer would have kept goes to a file before the answer goes out,
//! with one write and one sync for all requests that wait. It checks nothing and can read nothing back: what
//! durability costs at least, with the same protocol on the same disk.

use std::{
    error::Error,
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    pin::Pin,
    sync::mpsc,
    thread,
};

use futures_util::{Stream, StreamExt as _};
use prost::Message as _;
use strata::proto::{
    ExecuteRequest, ExecuteResponse, ExecuteStreamRequest, ExecuteStreamResponse, GetPlanRequest,
    GetPlanResponse, ListPlansRequest, ListPlansResponse,
    execute_stream_response::Outcome,
    plan_service_server::{PlanService, PlanServiceServer},
};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::TcpIncoming},
};

use crate::echo;

/// The argument that makes this program this server.
pub(crate) const SERVER: &str = "append-server";

/// The file has this size from the beginning, as a log that is made ready ahead, and is written round.
const FILE_BYTES: u64 = 128 << 20;
/// What is written at once at most.
const GROUP_MAX: usize = 4_096;
/// How much of a stream may wait for the disk.
const STREAM_MAX: usize = 4_096;

type Answers = Pin<Box<dyn Stream<Item = Result<ExecuteStreamResponse, Status>> + Send>>;

/// Serves the answer in a directory on a free port, which it says on stderr as the daemon does, and writes in
/// another.
pub(crate) async fn serve(answers: &Path, dir: &Path) -> Result<(), Box<dyn Error>> {
    let answer = fs::read(answers.join(echo::EXECUTE))?;
    let answer = ExecuteResponse::decode(answer.as_slice())?;
    let kept = answer.entry.as_ref().ok_or("no entry")?.commit.to_vec();
    let file = made_ready(&dir.join("appended"))?;
    let (queue, waiting) = mpsc::channel();
    thread::spawn(move || write(&file, &kept, &waiting));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!(r#"{{"address":"{}"}}"#, listener.local_addr()?);
    Server::builder()
        .add_service(PlanServiceServer::new(Appender { answer, queue }))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await?;
    Ok(())
}

fn made_ready(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    let zeros = vec![0; 1 << 20];
    for offset in (0..FILE_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, offset)?;
    }
    file.sync_all()?;
    Ok(file)
}

/// Writes for all who wait, then tells them. Who finds nobody to write for them is told by that.
fn write(file: &File, kept: &[u8], waiting: &mpsc::Receiver<oneshot::Sender<()>>) {
    let mut offset = 0;
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        group.extend(waiting.try_iter().take(GROUP_MAX - 1));
        let bytes = kept.repeat(group.len());
        if offset + bytes.len() as u64 > FILE_BYTES {
            offset = 0;
        }
        if file.write_all_at(&bytes, offset).is_err() || file.sync_data().is_err() {
            return;
        }
        offset += bytes.len() as u64;
        for one in group {
            // Who went away needs no word.
            let _ = one.send(());
        }
    }
}

struct Appender {
    answer: ExecuteResponse,
    queue: mpsc::Sender<oneshot::Sender<()>>,
}

impl Appender {
    fn append(&self) -> Result<oneshot::Receiver<()>, Status> {
        append(&self.queue)
    }
}

fn append(queue: &mpsc::Sender<oneshot::Sender<()>>) -> Result<oneshot::Receiver<()>, Status> {
    let (done, written) = oneshot::channel();
    queue.send(done).map_err(unwritten)?;
    Ok(written)
}

fn unwritten(_: impl Error) -> Status {
    Status::internal("it could not be written")
}

#[tonic::async_trait]
impl PlanService for Appender {
    async fn execute(
        &self,
        _request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        self.append()?.await.map_err(unwritten)?;
        Ok(Response::new(self.answer.clone()))
    }

    type ExecuteStreamStream = Answers;

    async fn execute_stream(
        &self,
        request: Request<Streaming<ExecuteStreamRequest>>,
    ) -> Result<Response<Self::ExecuteStreamStream>, Status> {
        let (answer, queue) = (self.answer.clone(), self.queue.clone());
        let written = request.into_inner().map(move |request| {
            let written = request.and_then(|_| append(&queue));
            async move { written?.await.map_err(unwritten) }
        });
        let answers = written.buffered(STREAM_MAX).map(move |written| {
            written.map(|()| ExecuteStreamResponse {
                outcome: Some(Outcome::Response(answer.clone())),
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_plan(
        &self,
        _request: Request<GetPlanRequest>,
    ) -> Result<Response<GetPlanResponse>, Status> {
        Err(Status::unimplemented("it is not measured"))
    }

    async fn list_plans(
        &self,
        _request: Request<ListPlansRequest>,
    ) -> Result<Response<ListPlansResponse>, Status> {
        Err(Status::unimplemented("it is not measured"))
    }
}
