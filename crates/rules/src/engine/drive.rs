//! Drives a call to its end, with the host at hand.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::data::Mailbox;
use crate::abi::{Answer, Host, Question};

/// Runs a call, and puts its questions to the host.
pub(super) fn drive<F: Future>(call: F, mailbox: &Mailbox, host: &mut dyn Host) -> F::Output {
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = call.as_mut().poll(&mut context) {
            return output;
        }
        // Nothing else in a call waits, so there is a question.
        let question = mailbox.open().question.take();
        let answer = question.map(|question| question.put_to(&mut *host));
        mailbox.open().answer = answer;
    }
}

/// Asks whoever drives the call.
pub(super) async fn ask(mailbox: Mailbox, question: Question) -> Answer {
    mailbox.open().question = Some(question);
    std::future::poll_fn(|_| mailbox.open().answer.take().map_or(Poll::Pending, Poll::Ready)).await
}
