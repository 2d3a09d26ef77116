package org.twinpath

import java.io.Closeable
import kotlin.coroutines.coroutineContext
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext
import org.twinpath.ffi.Connection
import org.twinpath.ffi.NextEvent

/**
 * A connection with cellular backup.
 *
 * Reading and writing may be done at the same time, from any thread and any dispatcher. Cancelling a call leaves the
 * connection as usable as before: a cancelled read has taken nothing, and a cancelled write tells how much was accepted
 * ([WriteCancelledException]). Use what a read gives inside of a `withTimeout`, not outside: time that is up just as its block
 * ends has it throw away what the block gave.
 */
public class TwinpathConnection internal constructor(internal val ffi: Connection) : Closeable {
    private val number = translated { ffi.number() }.toLong()
    private val reading = Reading(number, ffi::tryRead, ffi::hasEnded)
    private val writing = Mutex()

    /**
     * The next bytes, at most [max]; `null` once the peer has ended its direction.
     *
     * @throws TwinpathException if the connection broke.
     */
    public suspend fun read(max: Int = LARGE_PIECE): ByteArray? = reading.next(max)

    /**
     * Puts the next bytes into an array, at most [length] of them, and gives their number; -1 once the peer has ended its
     * direction. An array that is used again and again costs less than a new one for each read.
     *
     * @throws TwinpathException if the connection broke.
     */
    public suspend fun read(into: ByteArray, offset: Int = 0, length: Int = into.size - offset): Int =
        reading.next(into, offset, length)

    /** What [read] gives where nothing has to be waited for; `null` where something has to, or goes wrong. */
    internal fun now(into: ByteArray, offset: Int = 0, length: Int = into.size): Int? = reading.now(into, offset, length)

    /**
     * Writes all of it: waits until the connection has accepted it, not until it has arrived.
     *
     * @throws WriteCancelledException if the caller was cancelled meanwhile; after a timeout of `withTimeout` that throws
     * what it always does, and [TwinpathStats.written] tells what was accepted.
     * @throws TwinpathException if the connection broke.
     */
    public suspend fun write(bytes: ByteArray, offset: Int = 0, length: Int = bytes.size - offset) {
        checkRange(bytes, offset, length)
        var accepted = 0
        try {
            writing.withLock {
                while (accepted < length) {
                    val taken = LentMemory.get().write(number, bytes, offset + accepted, length - accepted) {
                        translated { ffi.tryWrite(it).toInt() }
                    }
                    accepted += taken
                    if (taken == 0) {
                        coroutineContext.ensureActive()
                        Waiting.untilWritable(number)
                    }
                }
            }
        } catch (late: TimeoutCancellationException) {
            // `withTimeout` knows its own exception only.
            throw late
        } catch (cancelled: CancellationException) {
            throw WriteCancelledException(accepted, cancelled)
        }
    }

    /** Ends this direction; what was written still arrives, and the peer can still be read. */
    public fun finish() {
        translated { ffi.finish() }
    }

    /**
     * Ends the connection in order and gives its account: everything written is delivered, for a bounded time. It is not
     * cancelled with its caller.
     */
    public suspend fun shutdown(): TwinpathSummary =
        withContext(NonCancellable) { offTheLibrary { translated { ffi.shutdown() } }.asSummary() }

    /** Ends the connection at once: what is not yet delivered is thrown away, and the peer's reads fail. */
    public fun abort() {
        translated { ffi.abort() }
    }

    /**
     * Ends the connection without waiting; what was written is still delivered, in the background. Whoever reads or writes
     * gets [ErrorKind.CLOSED].
     */
    override fun close() {
        try {
            translated { ffi.leave() }
        } catch (_: TwinpathException) {
            // It was closed before.
        }
        ffi.destroy()
    }

    /** How it runs and what it has done so far. */
    public val stats: TwinpathStats
        get() = translated { ffi.stats() }.asStats()

    /** Its account so far. */
    public val summary: TwinpathSummary
        get() = translated { ffi.summary() }.asSummary()

    /**
     * What happens to it. The first collector also gets what happened before; one that is slow loses the oldest of more
     * than 64 events. It ends with the connection, with [TwinpathEvent.Ended].
     */
    public val events: Flow<TwinpathEvent>
        get() = flow {
            translated { ffi.events() }.use { events ->
                while (true) {
                    when (val next = translated { events.tryNext() }) {
                        is NextEvent.Happened -> emit(next.event.asEvent())
                        NextEvent.NotYet -> offTheLibrary { translated { events.ready(null) } }
                        NextEvent.Over -> return@flow
                    }
                }
            }
        }

    /**
     * After [ErrorKind.INTERRUPTED], towards a server that is no gateway: a new connection to the same server, over the
     * path that answers.
     */
    public suspend fun freshLeg(): TwinpathConnection = wanted { TwinpathConnection(translated { ffi.freshLeg(null) }) }

    public companion object {
        /**
         * Connects with a connector of its own. An app that makes several connections has one [TwinpathConnector], which
         * they share.
         */
        public suspend fun connect(
            host: String,
            port: Int,
            options: TwinpathOptions.() -> Unit = {},
        ): TwinpathConnection = TwinpathConnector(options).use { it.connect(host, port) }
    }
}

/** What is moved at once. */
internal const val PIECE: Int = 64 * 1024

/** What is moved at once where there is much. */
internal const val LARGE_PIECE: Int = 256 * 1024
