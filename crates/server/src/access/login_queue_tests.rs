//! The login queue in virtual time, with clients that guess passwords and cameras that log in behind the same address.

use super::*;
use crate::access::login_cache::LoginCache;
use hevcast_wire::rtsp::auth::Authorization;

const MINUTE: Duration = Duration::from_secs(60);
/// How many wrong passwords of one address may be checked in a minute, beside those that trust allows.
const MOST_GUESSES: usize = 20;

/// An address with its clients, each of which repeats the same logins.
struct World {
    queue: LoginQueue,
    cache: LoginCache,
    now: Instant,
    start: Instant,
    asking: Vec<(u64, ClaimedLogin, Client)>,
    /// How many wrong passwords were checked, and all checks by client.
    guesses: usize,
    answers: Vec<(usize, &'static str, Duration)>,
}

#[derive(Clone, Copy)]
struct Client {
    id: usize,
    since: Instant,
}

impl World {
    fn new() -> World {
        let start = Instant::now();
        let cache = LoginCache::default();
        World {
            queue: LoginQueue::new(start),
            cache,
            now: start,
            start,
            asking: Vec::new(),
            guesses: 0,
            answers: Vec::new(),
        }
    }

    fn basic(&self, user: &str, password: &str) -> ClaimedLogin {
        self.cache.claim(&Authorization::Basic { user: user.into(), password: password.into() })
    }

    fn digest(&self, user: &str) -> ClaimedLogin {
        ClaimedLogin { password: None, is_known_right: false, ..self.basic(user, "") }
    }

    fn ask(&mut self, id: usize, claimed: ClaimedLogin) {
        let number = self.queue.push(claimed, self.now);
        self.asking.push((number, claimed, Client { id, since: self.now }));
    }

    fn answer(&mut self, at: usize, what: &'static str) {
        let (.., client) = self.asking.remove(at);
        self.answers.push((client.id, what, self.now.saturating_duration_since(client.since)));
    }

    /// Polls each login that may be due, and lets time pass until one has an outcome; `is_right` tells which passwords
    /// are right. Returns the next outcomes, at least one.
    fn step(&mut self, is_right: &dyn Fn(usize, ClaimedLogin) -> bool) -> Vec<(usize, &'static str, Duration)> {
        while self.answers.is_empty() {
            let mut soonest = self.now + LONGEST_WAIT;
            let mut at = 0;
            while let Some((number, claimed, client)) = self.asking.get(at).copied() {
                match self.queue.poll(number, self.now) {
                    (Decision::Check, lane) => {
                        let right = is_right(client.id, claimed);
                        self.guesses += usize::from(!right);
                        self.queue.finish(claimed, lane, right, self.now);
                        if right {
                            self.cache.insert(claimed);
                        }
                        self.answer(at, if right { "right" } else { "wrong" });
                        (at, soonest) = (0, self.now);
                        continue;
                    }
                    (Decision::Overloaded, _) => {
                        self.answer(at, "crowded");
                        continue;
                    }
                    (Decision::KnownWrong(until), _) => {
                        self.queue.known_wrong_done();
                        let (.., client) = self.asking.remove(at);
                        self.answers.push((client.id, "repeated", until.saturating_duration_since(client.since)));
                        continue;
                    }
                    (Decision::Wait(until), _) => soonest = soonest.min(until),
                }
                at += 1;
            }
            if self.answers.is_empty() {
                self.now = self.now.max(soonest);
            }
        }
        std::mem::take(&mut self.answers)
    }

    fn passed(&self) -> Duration {
        self.now.saturating_duration_since(self.start)
    }
}

#[test]
fn each_failure_doubles_the_wait() {
    let mut world = World::new();
    let mut waits = Vec::new();
    for n in 0..7 {
        world.ask(0, world.basic("me", &n.to_string()));
        waits.extend(world.step(&|_, _| false).iter().map(|(_, _, wait)| wait.as_millis()));
    }
    assert_eq!(waits, [0, 500, 1000, 2000, 4000, 4000, 4000]);
}

/// Whatever an address does, it cannot guess faster: not on many connections, with accounts of its own between or
/// beside its guesses, under many names, by Basic or by Digest.
#[test]
fn guesses_are_few_whatever_accounts_and_connections_a_guesser_has() {
    for connections in [1, 7, 40, 200] {
        for own_accounts in [0, 1, 3] {
            for names in [1, 5, 1000] {
                for is_digest in [false, true] {
                    let mut world = World::new();
                    let mut made = 0;
                    let mut next = |world: &World, id: usize| {
                        made += 1;
                        match id < own_accounts {
                            true => world.basic(&format!("own{id}"), "mine"),
                            false if is_digest => world.digest(&format!("victim{}", made % names)),
                            false => world.basic(&format!("victim{}", made % names), &format!("guess {made}")),
                        }
                    };
                    for id in 0..connections + own_accounts {
                        let claimed = next(&world, id);
                        world.ask(id, claimed);
                    }
                    let mut looked = 0;
                    while world.passed() < MINUTE && looked < 20_000 {
                        for (id, ..) in world.step(&|id, _| id < own_accounts) {
                            looked += 1;
                            let claimed = next(&world, id);
                            world.ask(id, claimed);
                        }
                        // The time that a login with an account of its own costs the guesser.
                        world.now += Duration::from_millis(1);
                    }
                    let case =
                        format!("{connections} connections, {own_accounts} accounts, {names} names, {is_digest}");
                    assert!(world.guesses <= MOST_GUESSES, "{} in a minute: {case}", world.guesses);
                }
            }
        }
    }
}

/// Clients that repeat an old password do not lock out the right one, of whichever user. Where nothing distinguishes
/// the right login from theirs (the same user by Digest, or with ever other passwords), it takes more attempts.
#[test]
fn a_right_login_behind_the_same_address_waits_for_two_checks_at_most() {
    const RIGHT: usize = 1000;
    for clients in [1, 8, 60] {
        for (old, right) in [("camera", "camera"), ("camera", "viewer")] {
            for kind in ["one password", "many passwords", "digests"] {
                // Among new logins of one user, the right one cannot be recognised before it is checked.
                if clients > 8 && old == right && kind != "one password" {
                    continue;
                }
                let mut world = World::new();
                let mut made = 0;
                let mut next = |world: &World| {
                    made += 1;
                    match kind {
                        "one password" => world.basic(old, "old"),
                        "many passwords" => world.basic(old, &format!("old {made}")),
                        _ => world.digest(old),
                    }
                };
                for id in 0..clients {
                    let claimed = next(&world);
                    world.ask(id, claimed);
                }
                let knows = |id: usize, _: ClaimedLogin| id == RIGHT;
                while world.passed() < MINUTE / 2 {
                    for (id, ..) in world.step(&knows) {
                        let claimed = next(&world);
                        world.ask(id, claimed);
                    }
                    world.now += Duration::from_millis(10);
                }
                let login = match kind {
                    "digests" => world.digest(right),
                    _ => world.basic(right, "right"),
                };
                for round in 0..3 {
                    let login = match kind {
                        "digests" => login,
                        _ => world.basic(right, "right"),
                    };
                    world.ask(RIGHT, login);
                    let requested_at = world.now;
                    let is_alike = kind != "one password" && old == right;
                    let wait = loop {
                        let answers = world.step(&knows);
                        match answers.iter().find(|(id, ..)| *id == RIGHT) {
                            Some((_, "right", _)) => break world.now.saturating_duration_since(requested_at),
                            Some(_) => {
                                assert!(is_alike, "not right in round {round}: {clients} {old} {right} {kind}");
                                world.ask(RIGHT, login);
                            }
                            None => {}
                        }
                        for (id, ..) in answers.into_iter().filter(|(id, ..)| *id != RIGHT) {
                            let claimed = next(&world);
                            world.ask(id, claimed);
                        }
                        world.now += Duration::from_millis(10);
                    };
                    if is_alike {
                        assert!(wait <= MINUTE, "{wait:?} in round {round}: {clients} {old} {right} {kind}");
                        continue;
                    }
                    let most = if round == 0 { LONGEST_DELAY * 2 } else { Duration::ZERO };
                    assert!(wait <= most, "{wait:?} in round {round}: {clients} {old} {right} {kind}");
                }
            }
        }
    }
}

#[test]
fn a_success_clears_its_own_user_only() {
    let mut world = World::new();
    for n in 0..4 {
        world.ask(0, world.basic("victim", &n.to_string()));
        world.step(&|_, _| false);
    }
    let before = world.queue.failures();
    world.ask(1, world.basic("mallory", "mine"));
    assert_eq!(world.step(&|_, _| true)[0].1, "right");
    assert_eq!(world.queue.failures(), before, "another's");
    world.ask(2, world.basic("victim", "right"));
    assert_eq!(world.step(&|_, _| true)[0].1, "right");
    assert_eq!(world.queue.failures(), 0);
}

#[test]
fn ten_minutes_clear_an_address() {
    let mut world = World::new();
    for n in 0..4 {
        world.ask(0, world.basic("victim", &n.to_string()));
        world.step(&|_, _| false);
    }
    world.now += MEMORY + LONGEST_DELAY;
    assert!(world.queue.is_forgettable(world.now));
    world.ask(0, world.basic("victim", "0"));
    assert_eq!(world.step(&|_, _| false)[0].2, Duration::ZERO, "looked at anew, at once");
}

/// A cached right login gives a guesser no information for free: trust ends after a number of wrong ones.
#[test]
fn trust_is_no_way_to_guess() {
    let mut world = World::new();
    world.ask(0, world.basic("victim", "secret"));
    world.step(&|_, _| true);
    assert!(world.queue.is_trusted(world.basic("victim", "").user));
    // Each waits, which shows that it is not the right one.
    for n in 0..MAX_TRUSTED_ATTEMPTS {
        world.ask(1, world.basic("victim", &n.to_string()));
    }
    assert!(!world.queue.is_trusted(world.basic("victim", "").user));
    world.ask(2, world.basic("victim", "secret"));
    let number = world.asking.last().unwrap().0;
    world.asking.swap(0, MAX_TRUSTED_ATTEMPTS as usize);
    assert_eq!(world.asking[0].0, number);
    // By Digest each is checked, but no more than the trusted attempts.
    let mut world = World::new();
    world.ask(0, world.digest("victim"));
    world.step(&|_, _| true);
    for _ in 0..100 {
        world.ask(1, world.digest("victim"));
    }
    world.step(&|_, _| false);
    assert!(world.guesses <= MAX_TRUSTED_ATTEMPTS as usize + 1, "{} at once", world.guesses);
    world.now += MEMORY * 2;
    assert_eq!(world.asking.len(), MAX_WAITING.min(world.asking.len()));
}

#[test]
fn the_queue_is_bounded_and_its_oldest_login_is_refused() {
    let mut world = World::new();
    world.queue.is_checking = true;
    for n in 0..MAX_WAITING + 5 {
        world.ask(n, world.basic("me", &n.to_string()));
    }
    let crowded = world.step(&|_, _| false);
    assert_eq!(
        crowded.iter().map(|(id, what, _)| (*id, *what)).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4].map(|n| (n, "crowded"))
    );
    let rest = world.step(&|_, _| false);
    assert!(rest.iter().all(|(_, what, wait)| *what == "crowded" && *wait == LONGEST_WAIT));
}

#[test]
fn what_an_address_is_remembered_for_is_bounded() {
    let mut world = World::new();
    for n in 0..500 {
        world.ask(0, world.basic(&format!("user{n}"), &n.to_string()));
        world.step(&|_, _| false);
    }
    let queue = &world.queue;
    assert!(queue.users.len() <= MAX_USERS && queue.wrong.len() <= MAX_WRONG && queue.waiting.is_empty());
    assert!(queue.failures() as usize > MAX_USERS, "users without a record are still counted");
}
