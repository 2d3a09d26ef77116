package org.twinpath

import java.io.Closeable
import kotlin.coroutines.coroutineContext
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.ensureActive
import org.twinpath.ffi.Connector

/** What may be spent on the backup paths. */
public data class Budget(
    /** Bytes a day; without limit if `null`. */
    val perDay: Long?,
    /** Bytes spent in this day. */
    val used: Long,
    /** Bytes that may still be spent at this moment; without limit if `null`, and 0 while roaming or saving data. */
    val remaining: Long?,
)

/**
 * Makes connections with the same options, which share a budget and one watcher of the device's interfaces. One for the
 * whole app is enough. Closing it leaves its connections as they are.
 */
public class TwinpathConnector(options: TwinpathOptions.() -> Unit = {}) : Closeable {
    internal val ffi: Connector

    /** Whom clients of HTTP ask that have nobody of their own. */
    internal val serverTrust: ServerTrust?

    init {
        Waiting.begin()
        val chosen = TwinpathOptions().apply(options)
        serverTrust = chosen.serverTrust
        ffi = translated { Connector(chosen.asFfi(), chosen.hooks()) }
    }

    /** What a platform has tied to it, to be let go of. */
    internal var onClose: () -> Unit = {}

    /**
     * Connects. When it is cancelled, nothing stays open.
     *
     * @throws TwinpathException what was tried, and what to do.
     */
    public suspend fun connect(host: String, port: Int): TwinpathConnection {
        val target = target(host, port)
        return wanted { TwinpathConnection(translated { ffi.connect(target, null) }) }
    }

    /**
     * Lets go of all paths until [resume]: for an app that goes to the background. Connections to gateways stay for the time
     * to live ([TwinpathOptions.timeToLive], as far as the gateway allows it), and what is written waits; connections to
     * other servers are left alone.
     */
    public fun suspend() {
        translated { ffi.suspend() }
    }

    /** Takes paths again, over the interfaces as they are now: connections to gateways go on where they were. */
    public fun resume() {
        translated { ffi.resume() }
    }

    /** What may be spent on the backup, and what was. */
    public val budget: Budget
        get() = translated { ffi.budget() }.let { Budget(it.perDay?.toLong(), it.used.toLong(), it.remaining?.toLong()) }

    /** Sets the bytes a day on the backup; without limit if `null`. */
    public fun setBudget(perDay: Long?) {
        require(perDay == null || perDay >= 0) { "a budget is not negative" }
        translated { ffi.setBudget(perDay?.toULong()) }
    }

    /** Says what was spent in this day before the app was started. */
    public fun setBudgetUsed(bytes: Long) {
        require(bytes >= 0) { "what was spent is not negative" }
        translated { ffi.setBudgetUsed(bytes.toULong()) }
    }

    /** Says whether the system is saving data: then nothing is spent on the backup. */
    public fun setDataSaving(isSaving: Boolean) {
        translated { ffi.setDataSaving(isSaving) }
    }

    override fun close() {
        onClose()
        ffi.close()
    }
}

/** Whoever is gone gets nothing: what was made for them is closed. */
internal suspend fun <T : Closeable> wanted(make: suspend () -> T): T {
    var made: T? = null
    try {
        val wanted = offTheLibrary { make().also { made = it } }
        coroutineContext.ensureActive()
        return wanted
    } catch (gone: CancellationException) {
        made?.close()
        throw gone
    }
}

/** As the library has it. */
internal fun target(host: String, port: Int): String {
    require(port in 1..65535) { "a port is from 1 to 65535, not $port" }
    return if (':' in host && !host.startsWith('[')) "[$host]:$port" else "$host:$port"
}
