// The few declarations of Apple's UIKit that this package uses, written by hand: see Network.swift.
import Foundation

public enum UIApplication {
    public static let didEnterBackgroundNotification = Notification.Name("didEnterBackground")
    public static let willEnterForegroundNotification = Notification.Name("willEnterForeground")
}
