import Foundation

/// A value that several threads set and get.
final class Held<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var held: Value?

    var value: Value? {
        get { lock.withLock { held } }
        set { lock.withLock { held = newValue } }
    }

    /// The value, made now if there is none.
    func made(_ make: () throws -> Value) rethrows -> Value {
        try lock.withLock {
            if let held { return held }
            let made = try make()
            held = made
            return made
        }
    }
}

/// What Foundation has not marked, and takes from any thread.
struct Unchecked<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}
