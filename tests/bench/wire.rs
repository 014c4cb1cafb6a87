//! The wire's benchmarks: what one response, one command and one name cost, apart from sockets and servers.
//!
//! ```text
//! cargo bench --bench wire [-- NAME]
//! ```
//!
//! `wire` and the requests are public, so nothing is opened up for this. How they add up to a listing or a script is
//! measured by `tests/bench/compare`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use imapadm::MailboxName;
use imapadm::admin::acl::{GetAcl, RightsChange, SetAcl};
use imapadm::admin::mailbox::Create;
use imapadm::admin::quota::{GetQuota, GetQuotaRoot};
use imapadm::session::{Capabilities, Fit, Request};
use imapadm::wire::{
    Cursor, Data, Encoder, Framer, Limits, Literals, Response, Untagged, parse, utf7,
};

/// Responses in one run: about as much as comes in a few reads.
const LINES: u32 = 1_000;

/// As many lines, each made from its number.
fn lines(line: impl Fn(u32) -> String) -> Vec<u8> {
    (1..=LINES)
        .flat_map(|number| line(number).into_bytes())
        .collect()
}

/// Sends bytes through a framer, in reads of 16 KiB, and shows each response's data to `each`.
fn through(framer: &mut Framer, mut bytes: &[u8], mut each: impl FnMut(&Data<'_>)) {
    while !bytes.is_empty() {
        let space = framer.space();
        let count = space.len().min(16 * 1024).min(bytes.len());
        let (now, later) = bytes.split_at(count);
        space[..count].copy_from_slice(now);
        framer.filled(count);
        bytes = later;
        while let Some(frame) = framer.next_frame().expect("what is sent is short") {
            match parse(framer.bytes(frame)) {
                Ok(Response::Untagged(Untagged::Data(data))) => each(&data),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// What LIST's reader asks of the cursor.
fn read_list(mut body: Cursor<'_>) -> Option<usize> {
    body.open()?;
    while body.close().is_none() {
        body.flag()?;
        body.skip_spaces();
    }
    body.space()?;
    body.nstring()?;
    body.space()?;
    body.astring().map(|name| name.len())
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Elements(LINES.into()));
    let mut framer = Framer::new(Limits::default());

    let bare = lines(|n| format!("* LIST (\\HasNoChildren) \".\" user.u{n:07}\r\n"));
    let quoted =
        lines(|n| format!("* LIST (\\HasChildren \\Subscribed) \"/\" \"Sent {n:07}\"\r\n"));
    let literal = lines(|n| format!("* LIST () \"/\" {{12}}\r\nLit \"{n:07}\r\n"));
    for (name, bytes) in [
        ("frame", &bare),
        ("list bare", &bare),
        ("list quoted", &quoted),
        ("list literal", &literal),
    ] {
        let parsed = name != "frame";
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                through(&mut framer, black_box(bytes), |data| {
                    if parsed {
                        black_box(read_list(data.body).expect("a LIST line"));
                    }
                });
            });
        });
    }

    let mailbox = MailboxName::from_wire(b"user.zoe");
    let acl =
        lines(|_| "* ACL user.zoe zoe lrswipkxtecdan cyrus lrswipkxtea anyone lrs\r\n".into());
    group.bench_function("acl", |bencher| {
        bencher.iter(|| {
            through(&mut framer, black_box(&acl), |data| {
                let mut request = GetAcl::new(mailbox.clone());
                assert!(request.take(data, Fit::Exact).expect("an ACL line"));
                black_box(request);
            });
        });
    });
    let quota =
        lines(|_| "* QUOTA user.zoe (STORAGE 1024 10485760 X-NUM-FOLDERS 12 500)\r\n".into());
    group.bench_function("quota", |bencher| {
        bencher.iter(|| {
            through(&mut framer, black_box(&quota), |data| {
                let mut request = GetQuota::new(mailbox.clone());
                assert!(request.take(data, Fit::Exact).expect("a QUOTA line"));
                black_box(request);
            });
        });
    });
    let roots = lines(|_| "* QUOTAROOT user.zoe user.zoe\r\n".into());
    group.bench_function("quotaroot", |bencher| {
        bencher.iter(|| {
            through(&mut framer, black_box(&roots), |data| {
                let mut request = GetQuotaRoot::new(mailbox.clone());
                assert!(request.take(data, Fit::Exact).expect("a QUOTAROOT line"));
                black_box(request);
            });
        });
    });
    group.finish();
}

fn writing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Elements(LINES.into()));
    let mut out = Vec::new();
    let mut write = |name: &str, request: &dyn Fn(&mut Encoder<'_>)| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                for _ in 0..LINES {
                    let mut encoder = Encoder::begin(&mut out, Literals::Plus);
                    encoder.atom("a1234").space();
                    request(&mut encoder);
                    black_box(encoder.finish().expect("a command"));
                }
            });
        });
    };
    let mailbox = MailboxName::from_wire(b"user.u0000001");
    let create = Create::new(mailbox.clone(), None);
    write("create", &|encoder| create.write(encoder));
    let quoted = Create::new(MailboxName::from_wire(b"user.zoe.Sent \"items\""), None);
    write("create quoted", &|encoder| quoted.write(encoder));
    let literal = Create::new(MailboxName::from_wire(b"user.zo\xc3\xab"), None);
    write("create literal", &|encoder| literal.write(encoder));
    let set_acl = SetAcl {
        mailbox,
        identifier: "cyrus".into(),
        change: RightsChange::parse("lrswipkxtea", &Capabilities::default()).expect("rights"),
    };
    write("setacl", &|encoder| set_acl.write(encoder));
    group.finish();
}

fn names(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("utf7");
    for (kind, name) in [
        ("plain", "user.zoe.Sent items"),
        ("ampersand", "user.zoe.R&D"),
        ("latin", "user.zoe.Entwürfe.Gelöschte Objekte"),
        ("japanese", "user.zoe.台北.日本語"),
    ] {
        let wire = utf7::encode(name);
        group.throughput(Throughput::Bytes(name.len() as u64));
        group.bench_function(format!("encode {kind}"), |bencher| {
            bencher.iter(|| utf7::encode(black_box(name)));
        });
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(format!("decode {kind}"), |bencher| {
            bencher.iter(|| utf7::decode(black_box(wire.as_bytes())).map(|name| name.len()));
        });
        group.bench_function(format!("show {kind}"), |bencher| {
            bencher.iter(|| MailboxName::show(black_box(wire.as_bytes())).len());
        });
    }
    group.finish();
}

criterion_group! {
    name = wire;
    // Each is over in a few seconds, and ten times as long would tell no more.
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = reading, writing, names
}
criterion_main!(wire);
