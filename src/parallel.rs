//! Loops on all threads.

use rayon::Yield;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::LocalKey;

/// Looks for work that a waiting thread takes before it lets others have its core.
const SPINS: usize = 100;

/// Calls `work` with each task, on all threads of the pool.
///
/// The calling thread takes the first of the tasks that are left, the others the last: from loop to loop, a
/// thread finds in its cache what it had before. Unlike in rayon's own loops, the calling thread does not go to
/// sleep before the last task is done: the loops of a step are so short that it takes longer to wake one.
pub fn for_each<T: Send>(tasks: impl IntoIterator<Item = T>, work: impl Fn(T) + Sync) {
    let tasks: VecDeque<T> = tasks.into_iter().collect();
    let undone = AtomicUsize::new(tasks.len());
    let tasks = Mutex::new(tasks);
    on_all_threads(&undone, &|end| {
        let mut left = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let task = match end {
            End::Front => left.pop_front(),
            End::Back => left.pop_back(),
        };
        drop(left);
        let Some(task) = task else { return false };
        let _done = Done(&undone);
        work(task);
        true
    });
}

/// What `work` makes of each task, on all threads of the pool, in the order of the tasks.
pub fn map<T: Send, R: Send>(
    tasks: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let tasks: Vec<T> = tasks.into_iter().collect();
    let mut results: Vec<_> = tasks.iter().map(|_| None).collect();
    for_each(tasks.into_iter().zip(&mut results), |(task, result)| {
        *result = Some(work(task));
    });
    results.into_iter().flatten().collect()
}

thread_local! {
    /// Whether the thread's loops are its own: see [`map_apart`].
    static APART: Cell<bool> = const { Cell::new(false) };
    /// Whether the thread waits for others, or others may wait for it: see [`keep_awake`].
    static NEEDED: Cell<bool> = const { Cell::new(false) };
}

/// A flag of the thread that is true for as long as this lives, and then again what it was, however a task ends.
struct Raised(&'static LocalKey<Cell<bool>>, bool);

impl Raised {
    fn new(flag: &'static LocalKey<Cell<bool>>) -> Self {
        Self(flag, flag.replace(true))
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// [`map`] for large tasks that have loops themselves: each task is one thread's alone, with its loops, so that no thread
/// waits for another in between. If there are fewer tasks than threads, it is the loops that all threads share.
pub fn map_apart<T: Send, R: Send>(
    tasks: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let tasks: Vec<T> = tasks.into_iter().collect();
    if tasks.len() < rayon::current_num_threads() {
        return tasks.into_iter().map(work).collect();
    }
    map(tasks, |task| {
        let _apart = Raised::new(&APART);
        work(task)
    })
}

/// An end of the tasks that are left.
enum End {
    Front,
    Back,
}

/// Calls `do_next` until no task is left and all are done. It is not generic, so that rayon's part of a loop is
/// compiled once, not for each loop.
fn on_all_threads(undone: &AtomicUsize, do_next: &(dyn Fn(End) -> bool + Sync)) {
    let tasks = undone.load(Ordering::Relaxed);
    let helpers = rayon::current_num_threads().min(tasks).saturating_sub(1);
    if helpers == 0 || APART.get() {
        while do_next(End::Front) {}
        return;
    }
    let _needed = Raised::new(&NEEDED);
    rayon::in_place_scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(|_| {
                let _needed = Raised::new(&NEEDED);
                while do_next(End::Back) {}
            });
        }
        while do_next(End::Front) {}
        work_until(|| undone.load(Ordering::Acquire) == 0);
    });
}

/// Calls `work`, and keeps the threads of the pool awake until it returns: between two loops they would go to
/// sleep, and to wake one takes as long as a short loop.
///
/// A thread that hears of it where it waits for others goes on with that: it would stay awake on top of a task that
/// `work` waits for, and neither would ever end. So what `work` does must wait for others in loops of this module, or on
/// the calling thread.
pub fn keep_awake<R>(work: impl FnOnce() -> R) -> R {
    let undone = AtomicUsize::new(1);
    let _needed = Raised::new(&NEEDED);
    rayon::in_place_scope(|scope| {
        scope.spawn_broadcast(|_, _| {
            if !NEEDED.get() {
                work_until(|| undone.load(Ordering::Acquire) == 0);
            }
        });
        let _done = Done(&undone);
        work()
    })
}

/// Calls `work` on the calling thread, and `aside` on one that has nothing else to do: this one, too, once it waits.
/// In a task that is [apart](map_apart), `aside` comes after `work`. Where this thread [keeps others
/// awake](keep_awake) or is in a loop it stays awake; elsewhere it may go to sleep, for what is aside may wait for a
/// disk.
pub fn beside<R>(aside: impl FnOnce() + Send, work: impl FnOnce() -> R) -> R {
    if APART.get() {
        let result = work();
        aside();
        return result;
    }
    let undone = AtomicUsize::new(1);
    let was_needed = NEEDED.get();
    let _needed = Raised::new(&NEEDED);
    rayon::in_place_scope(|scope| {
        scope.spawn(|_| {
            let _done = Done(&undone);
            aside();
        });
        let result = work();
        if was_needed {
            work_until(|| undone.load(Ordering::Acquire) == 0);
        }
        result
    })
}

/// Does what there is to do in the pool until `end`, without going to sleep.
fn work_until(end: impl Fn() -> bool) {
    let mut spins = 0;
    while !end() {
        if rayon::yield_now() == Some(Yield::Executed) {
            spins = 0;
        } else if spins < SPINS {
            spins += 1;
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

/// A task that counts as done when this is dropped, however it ends.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    fn on_threads(threads: usize, work: impl FnOnce() + Send) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(work);
    }

    #[test]
    fn each_task_is_done_once() {
        for threads in [1, 2, 5] {
            for tasks in [0, 1, 2, 100] {
                let mut done = vec![0; tasks];
                on_threads(threads, || for_each(&mut done, |done| *done += 1));
                assert!(done.iter().all(|&times| times == 1), "{done:?}");
            }
        }
    }

    #[test]
    fn threads_are_kept_awake_until_the_work_is_done_or_panics() {
        for threads in [1, 2, 5] {
            on_threads(threads, || {
                let done = AtomicUsize::new(0);
                let count = || for_each(0..10, |task| _ = done.fetch_add(task, Ordering::Relaxed));
                keep_awake(|| (0..10).for_each(|_| count()));
                assert_eq!(done.into_inner(), 450);
                let panic = || keep_awake(|| panic!("as it should"));
                assert!(catch_unwind(panic).is_err());
            });
        }
    }

    #[test]
    fn a_thread_within_a_loop_is_not_kept_from_it() {
        let [started, awake, done] = [(); 3].map(|()| AtomicBool::new(false));
        let begun = Instant::now();
        let wait = |flag: &AtomicBool| {
            while !flag.load(Ordering::Acquire) {
                assert!(begun.elapsed() < Duration::from_secs(60), "it is kept");
                std::hint::spin_loop();
            }
        };
        // The first finds the loop itself, for the other tasks; the second what is to keep the thread awake.
        let look_for_work_twice =
            |task| (0..2).for_each(|_| _ = (task == 0).then(rayon::yield_now));
        on_threads(2, || {
            rayon::in_place_scope(|scope| {
                scope.spawn(|_| {
                    started.store(true, Ordering::Release);
                    wait(&awake);
                    for_each(0..9, look_for_work_twice);
                    done.store(true, Ordering::Release);
                });
                wait(&started);
                keep_awake(|| {
                    awake.store(true, Ordering::Release);
                    wait(&done);
                });
            });
        });
        assert!(done.into_inner());
    }

    #[test]
    fn loops_may_be_within_loops() {
        let sum = AtomicUsize::new(0);
        on_threads(3, || {
            for_each(0..10, |a| {
                for_each(0..10, |b| {
                    sum.fetch_add(a * b, Ordering::Relaxed);
                });
            });
        });
        assert_eq!(sum.into_inner(), 45 * 45);
    }

    #[test]
    fn loops_within_tasks_that_are_apart_stay_on_their_thread() {
        for tasks in [1, 3, 40] {
            on_threads(3, || {
                let counts = map_apart(0..tasks, |task| {
                    let thread = std::thread::current().id();
                    let here = map(0..50, |_| std::thread::current().id() == thread);
                    assert!(tasks < 3 || here.into_iter().all(|here| here));
                    task
                });
                assert!(counts.into_iter().eq(0..tasks));
                assert!(!APART.get());
            });
        }
    }

    #[test]
    fn what_is_done_beside_is_done_once_and_on_the_thread_of_a_task_that_is_apart() {
        for threads in [1, 2, 5] {
            on_threads(threads, || {
                let done = AtomicUsize::new(0);
                let count = || for_each(0..10, |task| _ = done.fetch_add(task, Ordering::Relaxed));
                let both = || (0..10).for_each(|_| beside(count, count));
                both();
                keep_awake(both);
                assert_eq!(done.into_inner(), 45 * 40);
                map_apart(0..40, |_| {
                    let thread = std::thread::current().id();
                    let mut aside = None;
                    beside(|| aside = Some(std::thread::current().id()), || ());
                    assert_eq!(aside, Some(thread));
                });
                let panic = || beside(|| panic!("as it should"), || ());
                assert!(catch_unwind(panic).is_err());
            });
        }
    }

    #[test]
    fn a_panic_in_a_task_comes_through_once_the_others_are_done() {
        let done = AtomicUsize::new(0);
        on_threads(2, || {
            let call = || {
                for_each(0..10, |task| {
                    assert_ne!(task, 3);
                    done.fetch_add(1, Ordering::Relaxed);
                });
            };
            assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
        });
        assert_eq!(done.into_inner(), 9);
    }
}
