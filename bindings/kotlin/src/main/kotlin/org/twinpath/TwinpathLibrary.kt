package org.twinpath

import org.twinpath.ffi.LogLevel as FfiLogLevel
import org.twinpath.ffi.LogSink
import org.twinpath.ffi.setLogSink
import org.twinpath.ffi.version

/** How much is logged. */
public enum class LogLevel {
    /** Nothing. */
    OFF,
    /** Mistakes of the library. */
    ERROR,
    /** What is unusual, but works. */
    WARN,
    /** What a user would see change. */
    INFO,
    /** Decisions, with addresses and host names. */
    DEBUG,
}

/** The library itself. */
public object TwinpathLibrary {
    /** Its version. */
    public val version: String get() = version()

    /**
     * Hands the lines of the library's log to [sink], on a thread of its own and one after the other; to nobody if it is
     * `null`.
     */
    public fun log(level: LogLevel, sink: ((level: LogLevel, module: String, line: String) -> Unit)?) {
        val forward = sink?.let {
            object : LogSink {
                override fun log(level: FfiLogLevel, module: String, line: String) =
                    it(LogLevel.valueOf(level.name), module, line)
            }
        }
        translated { setLogSink(forward, FfiLogLevel.valueOf(level.name)) }
    }
}
