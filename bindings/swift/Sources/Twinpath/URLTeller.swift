import Foundation
internal import CoreFoundation

/// Tells `URLSession` what becomes of a request: one thing after the other, where it wants to be told, and nothing once it has
/// stopped loading.
final class Teller: @unchecked Sendable {
    /// Has ``serve()`` called soon, where that is right.
    typealias Place = @Sendable (Teller) -> Void

    private let place: Place
    // What is told may lead to loading being stopped, on the same thread.
    private let lock = NSRecursiveLock()
    private var waiting: [(act: () -> Void, done: CheckedContinuation<Void, Never>)] = []
    private var isOver = false

    init(_ place: @escaping Place) {
        self.place = place
    }

    /// Returns once it was told, or is no longer wanted: no more than one thing waits.
    func tell(_ act: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { done in
            let isWanted = lock.withLock {
                if !isOver { waiting.append((act, done)) }
                return !isOver
            }
            isWanted ? place(self) : done.resume()
        }
    }

    /// Tells what waits.
    func serve() {
        lock.withLock {
            while !waiting.isEmpty {
                let next = waiting.removeFirst()
                next.act()
                next.done.resume()
            }
        }
    }

    /// Nothing is told after this.
    func end() {
        lock.withLock {
            isOver = true
            waiting.forEach { $0.done.resume() }
            waiting = []
        }
    }

    /// The thread that this is called on, by its run loop.
    static func runLoop() -> Place {
        nonisolated(unsafe) let loop = RunLoop.current
        nonisolated(unsafe) let wakened = CFRunLoopGetCurrent()
        var modes = [RunLoop.Mode.default]
        if let mode = loop.currentMode, mode != .default { modes.append(mode) }
        return { [modes] teller in
            loop.perform(inModes: modes) { teller.serve() }
            // A loop that sleeps does not look.
            CFRunLoopWakeUp(wakened)
        }
    }
}
