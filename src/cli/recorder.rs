//! What a training tells, written down: metrics, pictures, checkpoints, and lines for a person.

use super::console::{Console, losses};
use super::screen::Screen;
use crate::config::Config;
use crate::data::{Examples, ImageShape, Noise, Split};
use crate::model::Vae;
use crate::model::sampling::{Drawing, reconstruct, sample};
use crate::picture::grid;
use crate::picture::plot::Curve;
use crate::picture::terminal::Panel;
use crate::run::{self, EventFiles, Metric, MetricsLog, RunDir, report};
use crate::train::{Event, Losses, Step, Trainer};
use crate::{Result, files};
use candle_core::Tensor;
use indicatif::ProgressBar;
use std::time::{Duration, Instant};

/// Test images in a strip of reconstructions.
const STRIP: usize = 16;
/// Pictures in a grid of samples, and in a row of it.
const SAMPLES: usize = 64;
const SAMPLE_COLUMNS: usize = 8;
/// The share of a training's time that its report may take: one in so many parts.
const REPORT_PARTS: u32 = 100;

/// Writes down what a training tells.
pub(super) struct Recorder<'a> {
    config: &'a Config,
    console: &'a Console,
    run: &'a RunDir,
    log: MetricsLog,
    /// The same for TensorBoard, if that is asked for.
    events: Option<EventFiles>,
    bar: ProgressBar,
    /// The terminal below the bar, if there is one.
    screen: Option<Screen>,
    /// The test images whose reconstructions are shown.
    examples: Examples,
    clock: Clock,
    begun: Instant,
    /// The time that went into the report so far.
    reporting: Duration,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(
        trainer: &Trainer,
        config: &'a Config,
        test: &Split,
        run: &'a RunDir,
        log: MetricsLog,
        console: &'a Console,
    ) -> Result<Self> {
        let events = match config.tensorboard {
            true => Some(EventFiles::open(run, log.metrics())?),
            false => None,
        };
        let (bar, screen) = console.training_bar(config.steps, trainer.progress.step)?;
        Ok(Self {
            config,
            console,
            run,
            events,
            log,
            bar,
            screen,
            examples: Examples::of(test, 0, STRIP.min(test.len()), config.corruption())?,
            clock: Clock::start(),
            begun: Instant::now(),
            reporting: Duration::ZERO,
        })
    }

    pub(super) fn record(&mut self, trainer: &Trainer, event: Event) -> Result<()> {
        match event {
            Event::Step(step) => self.step(&step),
            Event::Collapse(step) => self.collapse(&step),
            Event::Interval(interval) => self.interval(trainer, interval)?,
            Event::Evaluation(step, losses) => self.evaluation(step, losses)?,
            Event::Save { last } => {
                // What comes after a checkpoint nobody would make good.
                if last {
                    self.log.plot()?;
                    self.report(false)?;
                }
                // A checkpoint must not be newer than the metrics that it will not bring back.
                self.log.sync()?;
                run::save(self.run, trainer, self.config)?;
            }
        }
        self.clock.restart();
        Ok(())
    }

    /// Takes bar and pictures off the terminal; those of a training that came to its end stay.
    pub(super) fn finish(&self, is_complete: bool) {
        self.bar.finish_and_clear();
        if let (true, Some(screen)) = (is_complete, &self.screen) {
            screen.leave();
        }
    }

    fn step(&mut self, step: &Step) {
        self.clock.count();
        let speed = self.clock.images_per_second(self.config.batch_size);
        self.bar.set_position(step.step);
        let losses = losses(step.losses, step.beta, self.config);
        self.bar
            .set_message(format!("{losses}  {speed:.0} images/s"));
    }

    fn collapse(&self, step: &Step) {
        let message = format!(
            "warning: step {}: the KL has been next to nothing for long: the posterior has collapsed onto \
             the prior, and the decoder ignores its latent vector. Try a lower --beta or --learning-rate.",
            step.step
        );
        self.console.say_above(&self.bar, message);
    }

    fn interval(&mut self, trainer: &Trainer, interval: Step) -> Result<()> {
        let speed = self.clock.take_images_per_second(self.config.batch_size);
        let metric = Metric::train(interval, self.config, speed);
        self.log.push(metric)?;
        if self.bar.is_hidden() {
            let losses = losses(interval.losses, interval.beta, self.config);
            let (step, steps) = (interval.step, self.config.steps);
            self.console.say(format_args!(
                "step {step} of {steps}: {losses}  {speed:.0} images/s"
            ));
        }
        self.pictures(trainer.shown(), interval.step)?;
        self.event(&metric)
    }

    fn event(&mut self, metric: &Metric) -> Result<()> {
        self.events
            .as_mut()
            .map_or(Ok(()), |events| events.push(metric))
    }

    fn pictures(&self, vae: &Vae, step: u64) -> Result<()> {
        let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let mut sets = vec![flat(&self.examples.images)?];
        if self.config.noise != Noise::None {
            sets.push(flat(&self.examples.seen)?);
        }
        sets.push(reconstruct(vae, &self.examples)?);
        let shape = vae.image_shape();
        let slices: Vec<&[f32]> = sets.iter().map(Vec::as_slice).collect();
        let strip = grid::png_sets(&slices, shape, STRIP)?;
        files::write_durably(&self.run.reconstruction(step), &strip)?;
        let drawings = Drawing::of_each_label_in_turn(vae, SAMPLES);
        let mut samples = sample(vae, vae.own_prior(), &drawings, self.config.seed, 1.0)?;
        files::write_durably(
            &self.run.sample(step),
            &grid::png(&samples, shape, SAMPLE_COLUMNS)?,
        )?;
        samples.truncate(STRIP * shape.values());
        sets.push(samples);
        self.show(sets, shape, step);
        Ok(())
    }

    /// Shows pictures below the bar, beside the curves of the loss's terms.
    fn show(&self, sets: Vec<Vec<f32>>, shape: ImageShape, step: u64) {
        if let Some(screen) = self.screen.as_ref().filter(|screen| screen.has_pictures()) {
            let seen = match self.config.noise {
                Noise::None => "",
                _ => ", with noise",
            };
            screen.show(Panel {
                caption: format!("step {step}: test images{seen}, reconstructions, drawings"),
                sets,
                shape,
                curves: self.terms(),
                steps: self.config.steps,
            });
        }
    }

    /// The curves of the loss's terms.
    fn terms(&self) -> Vec<Curve> {
        let [_loss, terms @ ..] = self.log.curves();
        terms.into()
    }

    fn evaluation(&mut self, step: u64, losses: Losses) -> Result<()> {
        let metric = Metric::test(step, losses, self.config);
        self.log.push(metric)?;
        self.event(&metric)?;
        if let Some(screen) = &self.screen {
            screen.show_curves(self.terms());
        }
        let losses = self::losses(losses, self.config.beta, self.config);
        let message = format!("step {step}: test {losses}");
        self.console.say_above(&self.bar, message);
        // The last one comes when nothing follows it.
        let is_last = step == self.config.steps;
        match !is_last && is_in_time(self.reporting, self.begun.elapsed()) {
            true => self.report(true),
            false => Ok(()),
        }
    }

    /// Writes the report, of a training that goes on or ends.
    fn report(&mut self, goes_on: bool) -> Result<()> {
        let begun = Instant::now();
        // What it shows must not be lost where it is not.
        self.log.sync()?;
        report::write_during(self.run, self.config, self.log.metrics(), goes_on)?;
        self.reporting += begun.elapsed();
        Ok(())
    }
}

/// Whether a report comes in time: those before it took no more than their share of the training so far.
fn is_in_time(reporting: Duration, training: Duration) -> bool {
    reporting <= training / REPORT_PARTS
}

/// Measures the speed of steps alone: not of pictures, evaluations and checkpoints.
struct Clock {
    since: Instant,
    busy: Duration,
    steps: u64,
}

impl Clock {
    fn start() -> Self {
        Self {
            since: Instant::now(),
            busy: Duration::ZERO,
            steps: 0,
        }
    }

    fn count(&mut self) {
        self.busy += self.since.elapsed();
        self.steps += 1;
    }

    fn restart(&mut self) {
        self.since = Instant::now();
    }

    fn images_per_second(&self, batch_size: usize) -> f64 {
        (self.steps * batch_size as u64) as f64 / self.busy.as_secs_f64().max(1e-9)
    }

    fn take_images_per_second(&mut self, batch_size: usize) -> f64 {
        let speed = self.images_per_second(batch_size);
        *self = Self::start();
        // Whole hundredths: what is beyond them is noise.
        (speed * 100.0).round() / 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_take_a_hundredth_of_the_time() {
        let [mut reporting, mut reports] = [Duration::ZERO, Duration::ZERO];
        // Evaluated each millisecond, for ten seconds, with reports of twenty.
        for elapsed in (1..10_000).map(Duration::from_millis) {
            if is_in_time(reporting, elapsed) {
                reporting += Duration::from_millis(20);
                reports = elapsed;
            }
        }
        assert_eq!(reporting, Duration::from_millis(100));
        assert_eq!(reports, Duration::from_secs(8));
    }
}
