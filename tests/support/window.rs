//! The program's real window on a virtual display: its elements as screen readers get them, its pixels, and input by
//! mouse and keyboard.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::display::{Area, Display};
use super::hevcast::command;
use super::process::{Exit, Process};
use super::{LIMIT, Scratch};

/// How often pixels are read while a change is awaited.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The beginning of log lines that describe elements.
const ELEMENT: &str = "{\"id\":";

/// An element of the window, as accessibility information describes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Element {
    id: u64,
    /// The kind of element, such as `Button`.
    pub role: String,
    /// The name of the element.
    pub name: String,
    /// The text or value of the element.
    pub value: String,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    /// Whether the element is disabled, so that it cannot be pressed.
    pub disabled: bool,
    gone: bool,
}

impl Element {
    /// The element's rectangle on the display.
    pub fn area(&self) -> Area {
        Area { x: self.x as i16, y: self.y as i16, width: self.width as u16, height: self.height as u16 }
    }
}

/// A running program with its window. It has its own configuration folder, which is empty at first.
pub struct Window {
    /// The process of the program.
    pub process: Process,
    /// The display on which the window is shown.
    pub display: Display,
    /// The folder of its configuration.
    folder: Scratch,
    elements: HashMap<u64, Element>,
}

impl Window {
    /// Starts the program with these arguments, and waits for its window.
    pub fn open(arguments: &[&str]) -> Window {
        Window::open_with(arguments, Scratch::new(), "C.UTF-8")
    }

    /// The same with a folder for its settings, and in this locale.
    pub fn open_with(arguments: &[&str], folder: Scratch, locale: &str) -> Window {
        let display = Display::start((1000, 640));
        let mut command = command(arguments);
        command.env("DISPLAY", &display.name).env("RUST_LOG", "hevcast=debug,hevcast::access=trace");
        // Files are saved to the home folder by default, so the test has a home folder of its own.
        command.env("HOME", folder.file("")).env("XDG_CONFIG_HOME", folder.file("config")).env("LC_ALL", locale);
        let process = Process::start(arguments.first().unwrap_or(&"hevcast"), &mut command);
        let mut window = Window { process, display, folder, elements: HashMap::new() };
        // The first frames may be drawn for another size than the window has, which only the display knows.
        let begun = Instant::now();
        while !window.has_its_size() {
            assert!(begun.elapsed() < LIMIT, "no window after {LIMIT:?}");
            std::thread::sleep(POLL_INTERVAL);
            window.take_lines();
        }
        window.wait_for("something in it", |window| window.elements.values().any(|element| element.role == "Button"));
        window
    }

    /// Reads the descriptions of elements until `wanted` holds.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&Window) -> bool) {
        let begun = Instant::now();
        while !wanted(self) {
            assert!(begun.elapsed() < LIMIT, "waiting for {what}: time is up; the window has {:#?}", self.elements);
            let line = self.process.stderr.expect(what, |line| line.contains(ELEMENT));
            self.take(&line);
        }
    }

    /// Whether the elements are laid out for the size that the window has on the display.
    fn has_its_size(&self) -> bool {
        let laid_out = self.find("Window").map(|element| (element.width, element.height));
        laid_out.is_some() && laid_out == self.display.window_area().map(|area| (area.width.into(), area.height.into()))
    }

    /// Handles all descriptions of elements that have come so far.
    fn take_lines(&mut self) {
        while let Some(line) = self.process.stderr.next_now() {
            self.take(&line);
        }
    }

    fn take(&mut self, line: &str) {
        let Some(at) = line.find(ELEMENT) else { return };
        let mut element: Element = serde_json::from_str(&line[at..]).unwrap();
        // It is described within the window, and used on the display.
        if let Some(window) = self.display.window_area() {
            element.x += f64::from(window.x);
            element.y += f64::from(window.y);
        }
        if element.gone {
            self.elements.remove(&element.id);
        } else {
            self.elements.insert(element.id, element);
        }
    }

    /// The element with this name, if there is one now.
    pub fn find(&self, name: &str) -> Option<&Element> {
        self.find_such(name, |_| true)
    }

    fn find_such(&self, name: &str, wanted: impl Fn(&Element) -> bool) -> Option<&Element> {
        self.elements.values().find(|element| element.name == name && wanted(element))
    }

    /// Waits until there is an element with this name for which `wanted` holds.
    pub fn expect(&mut self, name: &str, wanted: impl Fn(&Element) -> bool) -> Element {
        self.wait_for(name, |window| window.find_such(name, &wanted).is_some());
        self.find_such(name, &wanted).cloned().unwrap()
    }

    /// Waits until the value of the element `name` contains `text`.
    pub fn expect_value(&mut self, name: &str, text: &str) -> Element {
        self.expect(name, |element| element.value.contains(text))
    }

    /// Waits until any text in the window contains `text`, and returns it.
    pub fn expect_text(&mut self, text: &str) -> String {
        self.wait_for(text, |window| window.says(text));
        self.text(text).unwrap().to_owned()
    }

    /// The first text in the window that contains `text`.
    pub fn text(&self, text: &str) -> Option<&str> {
        self.elements.values().map(|element| element.value.as_str()).find(|value| value.contains(text))
    }

    /// Whether any text in the window contains `text`.
    pub fn says(&self, text: &str) -> bool {
        self.text(text).is_some()
    }

    /// Waits until a button can be pressed, and clicks on it.
    pub fn press(&mut self, name: &str) {
        // The element may have moved since it was described.
        self.take_lines();
        let button = self.expect(name, |element| element.role == "Button" && !element.disabled);
        self.display.click(button.area().centre());
    }

    /// Presses a key, by its X11 keysym.
    pub fn key(&self, keysym: u32) {
        self.display.focus();
        self.display.key(keysym);
    }

    /// The upper third of the picture area, in which no text is drawn when it is black.
    pub fn sky(&self) -> Area {
        let picture = self.find("Picture").expect("no picture area").area();
        Area { height: picture.height / 3, ..picture }
    }

    /// Waits until `wanted` holds for the pixels of an area; returns how long that took.
    pub fn wait_for_pixels(&self, area: Area, what: &str, wanted: impl Fn(&[[u8; 3]]) -> bool) -> Duration {
        let begun = Instant::now();
        while !wanted(&self.display.pixels(area)) {
            assert!(begun.elapsed() < LIMIT, "still not {what} after {LIMIT:?}");
            std::thread::sleep(POLL_INTERVAL);
        }
        begun.elapsed()
    }

    /// Waits until the picture area is black; returns how long that took.
    pub fn wait_for_black(&self) -> Duration {
        self.wait_for_pixels(self.sky(), "black", |pixels| pixels.iter().flatten().all(|&value| value == 0))
    }

    /// Waits until the picture area shows a changing picture.
    pub fn wait_for_moving_picture(&self) {
        let area = self.sky();
        let is_picture = |pixels: &[[u8; 3]]| pixels.iter().filter(|pixel| pixel.iter().any(|&v| v > 40)).count() > 500;
        self.wait_for_pixels(area, "a picture", is_picture);
        let first = self.display.pixels(area);
        self.wait_for_pixels(area, "moving", |pixels| is_picture(pixels) && pixels != first);
    }

    /// Ends the program by SIGINT, as Ctrl-C in a terminal does.
    pub fn close(self) -> Exit {
        self.process.interrupt().0.succeeded()
    }

    /// The same; returns the folder of its settings.
    pub fn close_and_keep(self) -> Scratch {
        self.process.interrupt().0.succeeded();
        self.folder
    }
}
