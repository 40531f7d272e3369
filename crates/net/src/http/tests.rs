use super::*;
use crate::runtime::{AsyncStd, BoxStream, Runtime, before};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct World {
    _folder: tempfile::TempDir,
    path: PathBuf,
    runtime: Arc<dyn Runtime>,
}

fn world<S: Service>(service: S) -> World {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api");
    let runtime: Arc<dyn Runtime> = Arc::new(AsyncStd);
    let socket = LocalSocket::bind(&*runtime, &path).unwrap();
    runtime.spawn(Box::pin(serve(Arc::clone(&runtime), socket, Arc::new(service))));
    World { _folder: folder, path, runtime }
}

async fn echo(request: Request) -> Response {
    let text = format!("{} {} {} {}", request.method, request.path, request.query, request.body.len());
    Response::json(if request.path == "/missing" { 404 } else { 200 }, text)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    AsyncStd::block_on(async {
        let deadline = Instant::now() + Duration::from_secs(30);
        before(&AsyncStd, deadline, future).await.expect("the test ends in time")
    })
}

#[test]
fn requests_reach_the_service_and_answers_come_back() {
    let world = world(echo);
    block_on(async {
        let body = Bytes::from(vec![7; 10 * 1024 * 1024]);
        let call = |method, target, body| call(&world.runtime, &world.path, method, target, body);
        let answer = call("POST", "/a%20b?x=1&y", body).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, "POST /a%20b x=1&y 10485760");
        let answer = call("GET", "/missing", Bytes::new()).await.unwrap();
        assert_eq!(answer.status, 404);
        assert_eq!(answer.body, "GET /missing  0");
        let error = call("GET", "no path", Bytes::new()).await.unwrap_err();
        assert!(matches!(error, CallError::Target { .. }), "{error}");
    });
}

#[test]
fn a_node_that_does_not_run_is_told_from_other_failures() {
    let runtime: Arc<dyn Runtime> = Arc::new(AsyncStd);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api");
    let is_not_running = || {
        let error = block_on(call(&runtime, &path, "GET", "/", Bytes::new())).unwrap_err();
        matches!(error, CallError::NotRunning { .. })
    };
    assert!(is_not_running());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(is_not_running());
}

#[test]
fn lines_come_as_they_are_made_and_a_client_that_leaves_is_noticed() {
    let (lines, source) = async_channel::bounded::<Bytes>(1);
    let (gone, noticed) = async_channel::bounded::<()>(1);
    let world = world(move |_request: Request| {
        let source = source.clone();
        let gone = gone.clone();
        async move {
            let (out, response) = async_channel::bounded(1);
            AsyncStd.spawn(Box::pin(async move {
                while let Ok(line) = source.recv().await {
                    if out.send(line).await.is_err() {
                        break;
                    }
                }
                gone.send(()).await.ok();
            }));
            Response::lines(response)
        }
    });
    block_on(async {
        let mut stream = call_streaming(&world.runtime, &world.path, "GET", "/", Bytes::new()).await.unwrap();
        assert_eq!(stream.status(), 200);
        lines.send("{\"n\":1}\n{\"n\":".into()).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), "{\"n\":1}");
        lines.send("2}\n".into()).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), "{\"n\":2}");
        drop(stream);
        while noticed.is_empty() {
            lines.send("more\n".into()).await.ok();
            AsyncStd.sleep_until(Instant::now() + Duration::from_millis(2)).await;
        }
    });
}

#[test]
fn a_stream_ends_when_its_source_does() {
    let world = world(|_request: Request| async {
        let (out, response) = async_channel::bounded(2);
        out.send("one\n".into()).await.unwrap();
        out.send("rest".into()).await.unwrap();
        Response::lines(response)
    });
    block_on(async {
        let mut stream = call_streaming(&world.runtime, &world.path, "GET", "/", Bytes::new()).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), "one");
        assert_eq!(stream.next().await.unwrap().unwrap(), "rest");
        assert_eq!(stream.next().await.unwrap(), None);
    });
}

async fn raw(world: &World, bytes: &[u8]) -> (BoxStream, Vec<u8>) {
    let mut stream = world.runtime.connect_unix(&world.path).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut start = vec![0; 12];
    stream.read_exact(&mut start).await.unwrap();
    (stream, start)
}

#[test]
fn bodies_that_are_too_long_and_requests_that_are_none_are_refused() {
    let world = world(echo);
    block_on(async {
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 1_u64 << 40);
        let (mut stream, start) = raw(&world, request.as_bytes()).await;
        assert_eq!(start, b"HTTP/1.1 413");
        stream.close().await.unwrap();
        let (_stream, start) = raw(&world, b"\x16\x03\x01 nonsense\r\n\r\n").await;
        assert_eq!(start, b"HTTP/1.1 400");
    });
}

#[test]
fn more_clients_than_are_served_at_once_wait_their_turn() {
    let world = world(echo);
    block_on(async {
        let mut idle = Vec::new();
        for _ in 0..MAX_LOCAL_CONNECTIONS {
            idle.push(world.runtime.connect_unix(&world.path).await.unwrap());
        }
        let call = call(&world.runtime, &world.path, "GET", "/", Bytes::new());
        let mut call = Box::pin(call);
        let soon = Instant::now() + Duration::from_millis(100);
        assert!(before(&AsyncStd, soon, &mut call).await.is_none());
        drop(idle);
        assert_eq!(call.await.unwrap().status, 200);
    });
}
