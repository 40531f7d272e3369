//! The node's side of the local API.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_channel::Receiver;
use bytes::Bytes;
use futures_lite::Stream;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::io::HyperIo;
use super::{LocalSocket, MAX_BODY_BYTES, MAX_LOCAL_CONNECTIONS, Request, Response, ResponseBody, Service};
use crate::runtime::{BoxStream, Runtime};

/// Pause after a failure to accept, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the local API until the future is dropped; connections that are being served go on.
pub async fn serve<S: Service>(runtime: Arc<dyn Runtime>, socket: LocalSocket, service: Arc<S>) {
    let (permit, permits) = async_channel::bounded(MAX_LOCAL_CONNECTIONS);
    loop {
        // One entry for each connection: a full channel makes the next one wait.
        if permit.send(()).await.is_err() {
            return;
        }
        let stream = match socket.acceptor().accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection of the local API");
                permits.try_recv().ok();
                runtime.sleep_until(runtime.now() + ACCEPT_PAUSE).await;
                continue;
            }
        };
        let service = Arc::clone(&service);
        let permits = permits.clone();
        runtime.spawn(Box::pin(async move {
            if let Err(error) = serve_connection(stream, service).await {
                tracing::debug!(%error, "connection of the local API");
            }
            permits.try_recv().ok();
        }));
    }
}

async fn serve_connection<S: Service>(stream: BoxStream, service: Arc<S>) -> hyper::Result<()> {
    let answer = service_fn(|request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(answer(&*service, request).await) }
    });
    http1::Builder::new().half_close(true).serve_connection(HyperIo::new(stream), answer).await
}

async fn answer<S: Service>(service: &S, request: hyper::Request<Incoming>) -> hyper::Response<AnswerBody> {
    let response = match take(request).await {
        Ok(request) => service.answer(request).await,
        Err(response) => response,
    };
    let body = match response.body {
        ResponseBody::Whole(bytes) => AnswerBody::Whole(Some(bytes)),
        ResponseBody::Stream(pieces) => AnswerBody::Stream(Box::pin(pieces)),
    };
    let mut answer = hyper::Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(response.content_type));
    answer
}

async fn take(request: hyper::Request<Incoming>) -> Result<Request, Response> {
    let (head, body) = request.into_parts();
    // The length alone is enough to refuse it.
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_long());
    }
    let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(too_long());
        }
        Err(error) => {
            tracing::debug!(%error, "body of a request of the local API");
            return Err(Response::json(400, r#"{"error":"the body broke off"}"#));
        }
    };
    let content_type = head.headers.get(CONTENT_TYPE);
    Ok(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        content_type: content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned(),
        body,
    })
}

fn too_long() -> Response {
    let text = format!(r#"{{"error":"expected a body of at most {MAX_BODY_BYTES} bytes"}}"#);
    Response::json(413, text)
}

enum AnswerBody {
    Whole(Option<Bytes>),
    Stream(Pin<Box<Receiver<Bytes>>>),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(pieces) => {
                pieces.as_mut().poll_next(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
