//! `/metrics`, `/-/healthy` and `/-/ready`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::engine::Engine;
use crate::mail::Timestamp;
use crate::observe::Observer;

/// Whether the daemon takes questions: all sockets are bound, and it is not stopping. A directory
/// that is down changes nothing here, since then the answers from memory are needed most.
#[derive(Default)]
pub struct Health {
    ready: AtomicBool,
}

impl Health {
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

#[derive(Clone)]
struct Page {
    engine: Arc<Engine>,
    observer: Arc<Observer>,
    health: Arc<Health>,
    clock: fn() -> Timestamp,
}

/// The pages for Prometheus and load balancers.
pub fn router(
    engine: Arc<Engine>,
    observer: Arc<Observer>,
    health: Arc<Health>,
    clock: fn() -> Timestamp,
) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { "gatepost is healthy\n" }))
        .route("/-/ready", get(ready))
        .with_state(Page { engine, observer, health, clock })
}

async fn metrics(State(page): State<Page>) -> impl IntoResponse {
    // Prometheus 3 refuses a scrape without this content type.
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let (accounts, bytes) = page.engine.kept();
    page.observer.metrics.detection.refresh(accounts, bytes, (page.clock)());
    match page.observer.metrics.expose() {
        Ok(text) => (StatusCode::OK, kind, text),
        Err(fault) => (StatusCode::INTERNAL_SERVER_ERROR, kind, fault.to_string().into_bytes()),
    }
}

async fn ready(State(page): State<Page>) -> impl IntoResponse {
    if page.health.is_ready() {
        (StatusCode::OK, "gatepost is ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "gatepost is not ready: starting or stopping\n")
    }
}
