#if canImport(UIKit) && !os(watchOS)
    import Foundation
    internal import TwinpathCore
    import UIKit

    /// Suspends a connector when the app goes to the background, and resumes it before it comes back: the system closes
    /// sockets of apps that it suspends.
    final class LifeCycle: @unchecked Sendable {
        private let tokens: [any NSObjectProtocol]

        init(_ connector: Connector) {
            let center = NotificationCenter.default
            tokens = [
                center.addObserver(forName: UIApplication.didEnterBackgroundNotification, object: nil, queue: nil) {
                    [weak connector] _ in try? connector?.suspend()
                },
                center.addObserver(forName: UIApplication.willEnterForegroundNotification, object: nil, queue: nil) {
                    [weak connector] _ in try? connector?.resume()
                },
            ]
        }

        deinit {
            tokens.forEach { NotificationCenter.default.removeObserver($0) }
        }
    }
#endif
