//! Requests of different types side by side: a request whose type is forgotten.

use crate::error::{Advice, Error, Refusal};
use crate::wire::cursor::ParseError;
use crate::wire::encode::Encoder;
use crate::wire::response::{Data, Status};

use super::name::MailboxName;
use super::request::{Continuation, Effect, Fit, Request};
use super::state::{Extension, State};

/// Any request whose reply can be made into a `T`, so that [`Session::run_each`](super::Session::run_each) can send requests of
/// different types behind each other.
///
/// ```
/// use imapadm::MailboxName;
/// use imapadm::admin::acl::GetAcl;
/// use imapadm::admin::quota::GetQuotaRoot;
/// use imapadm::session::BoxedRequest;
///
/// let name = MailboxName::typed("user.bob")?;
/// let requests: Vec<BoxedRequest<String>> = vec![
///     BoxedRequest::new(GetAcl::new(name.clone()), |acl| format!("{} entries", acl.entries.len())),
///     BoxedRequest::new(GetQuotaRoot::new(name), |roots| format!("{roots:?}")),
/// ];
/// # Ok::<(), imapadm::Error>(())
/// ```
pub struct BoxedRequest<T>(Box<dyn Erased<T>>);

impl<T: Send + 'static> BoxedRequest<T> {
    /// Forgets the type of `request`; `into` makes its reply into a `T`.
    pub fn new<R: Request>(
        request: R,
        into: impl FnOnce(R::Reply) -> T + Send + 'static,
    ) -> BoxedRequest<T> {
        BoxedRequest(Box::new(With { request, into }))
    }
}

impl<T> std::fmt::Debug for BoxedRequest<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("BoxedRequest").field(&self.0.verb()).finish()
    }
}

struct With<R, F> {
    request: R,
    into: F,
}

/// [`Request`], without the type of its reply.
trait Erased<T>: Send {
    fn verb(&self) -> &'static str;
    fn effect(&self) -> Effect;
    fn extension(&self) -> Option<Extension>;
    fn alone(&self) -> bool;
    fn rivals(&self) -> &'static [&'static str];
    fn subject(&self) -> Option<&MailboxName>;
    fn depends_on_server(&self) -> bool;
    fn write(&self, command: &mut Encoder<'_>);
    fn sent(&self, state: &mut State);
    fn on_continue(&mut self, text: &[u8]) -> Continuation;
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError>;
    fn take_status(&mut self, status: &Status<'_>) -> bool;
    fn finish(self: Box<Self>, ok: &Status<'_>, state: &mut State) -> Result<T, Error>;
    fn refused(&self, refusal: &Refusal, state: &mut State) -> Option<Advice>;
}

impl<T, R: Request, F: FnOnce(R::Reply) -> T + Send> Erased<T> for With<R, F> {
    fn verb(&self) -> &'static str {
        self.request.verb()
    }
    fn effect(&self) -> Effect {
        self.request.effect()
    }
    fn extension(&self) -> Option<Extension> {
        self.request.extension()
    }
    fn alone(&self) -> bool {
        self.request.alone()
    }
    fn rivals(&self) -> &'static [&'static str] {
        self.request.rivals()
    }
    fn subject(&self) -> Option<&MailboxName> {
        self.request.subject()
    }
    fn depends_on_server(&self) -> bool {
        self.request.depends_on_server()
    }
    fn write(&self, command: &mut Encoder<'_>) {
        self.request.write(command);
    }
    fn sent(&self, state: &mut State) {
        self.request.sent(state);
    }
    fn on_continue(&mut self, text: &[u8]) -> Continuation {
        self.request.on_continue(text)
    }
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError> {
        self.request.take(data, fit)
    }
    fn take_status(&mut self, status: &Status<'_>) -> bool {
        self.request.take_status(status)
    }
    fn finish(self: Box<Self>, ok: &Status<'_>, state: &mut State) -> Result<T, Error> {
        let With { request, into } = *self;
        request.finish(ok, state).map(into)
    }
    fn refused(&self, refusal: &Refusal, state: &mut State) -> Option<Advice> {
        self.request.refused(refusal, state)
    }
}

impl<T: Send + 'static> Request for BoxedRequest<T> {
    type Reply = T;
    fn verb(&self) -> &'static str {
        self.0.verb()
    }
    fn effect(&self) -> Effect {
        self.0.effect()
    }
    fn extension(&self) -> Option<Extension> {
        self.0.extension()
    }
    fn alone(&self) -> bool {
        self.0.alone()
    }
    fn rivals(&self) -> &'static [&'static str] {
        self.0.rivals()
    }
    fn subject(&self) -> Option<&MailboxName> {
        self.0.subject()
    }
    fn depends_on_server(&self) -> bool {
        self.0.depends_on_server()
    }
    fn write(&self, command: &mut Encoder<'_>) {
        self.0.write(command);
    }
    fn sent(&self, state: &mut State) {
        self.0.sent(state);
    }
    fn on_continue(&mut self, text: &[u8]) -> Continuation {
        self.0.on_continue(text)
    }
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError> {
        self.0.take(data, fit)
    }
    fn take_status(&mut self, status: &Status<'_>) -> bool {
        self.0.take_status(status)
    }
    fn finish(self, ok: &Status<'_>, state: &mut State) -> Result<T, Error> {
        self.0.finish(ok, state)
    }
    fn refused(&self, refusal: &Refusal, state: &mut State) -> Option<Advice> {
        self.0.refused(refusal, state)
    }
}
