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
    public val version: String get() = called { version() }

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
        called { setLogSink(forward, FfiLogLevel.valueOf(level.name)) }
    }

    /**
     * Takes these networks for all that there are, until it is called again; if `null`, the system is asked. For
     * platforms that tell an app more than a library: connections go on over what has come, and leave what is gone.
     */
    public fun setNetworks(networks: List<TwinpathNetwork>?) {
        called { org.twinpath.ffi.setNetworks(networks?.map { it.asFfi() }) }
    }

    /** Says whether the device mandates a proxy for all traffic: then connections take the system's route. */
    public fun setProxyMandated(isMandated: Boolean) {
        called { org.twinpath.ffi.setProxyMandated(isMandated) }
    }

    /**
     * Tests whether the networks that the device is in let Multipath TCP through to a server, over these interfaces or over all
     * that can be used; within 12 s. The answer is JSON, the same that `twinpath doctor --json` has (`core/doctor/SCHEMA.md`), for
     * whoever supports the app. It has addresses in it.
     *
     * @throws TwinpathException if the interfaces cannot be listed; that nothing could be reached is an answer.
     */
    public suspend fun diagnose(host: String, port: Int, interfaces: List<String> = emptyList()): String {
        val target = target(host, port)
        return offTheLibrary { called { org.twinpath.ffi.diagnose(target, interfaces, null) } }
    }

    private inline fun <T> called(call: () -> T): T {
        Waiting.begin()
        return translated(call)
    }
}
