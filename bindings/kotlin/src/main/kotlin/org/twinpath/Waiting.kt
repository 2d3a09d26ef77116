package org.twinpath

import com.sun.jna.Callback
import com.sun.jna.Native
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicLong
import kotlin.coroutines.ContinuationInterceptor
import kotlin.coroutines.coroutineContext
import kotlin.coroutines.resume
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.coroutines.withContext

/** Those who wait for the library by numbers alone. That a wait ends may mean nothing: whoever waited tries again. */
internal object Waiting {
    private val next = AtomicLong()
    private val waiting = ConcurrentHashMap<Long, CancellableContinuation<Unit>>()

    /** Called by the library, on a thread of its own as a rule. */
    val tell = object : LentCalls.Tell {
        override fun callback(ticket: Long) = over(ticket)
    }

    private val isFirst: Boolean

    init {
        CallbackThreads.stay(tell)
        isFirst = LentCalls.twinpath_tell_by(tell) != 0
    }

    /**
     * Sees to it that the library calls here, before it is called. What it calls there is but once in a process: with the
     * classes of a second class loader it would call those of the wrong one.
     */
    fun begin() {
        if (!isFirst) {
            throw TwinpathException(
                ErrorKind.UNSUPPORTED,
                "another class loader of this process has Twinpath already: have it loaded once, by a loader that both share",
            )
        }
    }

    suspend fun untilReadable(number: Long) = offTheLibrary {
        until(
            { LentCalls.twinpath_when_readable(number, it) },
            { LentCalls.twinpath_not_when_readable(number, it) },
        )
    }

    suspend fun untilWritable(number: Long) = offTheLibrary {
        until(
            { LentCalls.twinpath_when_writable(number, it) },
            { LentCalls.twinpath_not_when_writable(number, it) },
        )
    }

    /** How many wait. */
    val count: Int get() = waiting.size

    /** How many have waited so far. */
    val begun: Long get() = next.get()

    private fun over(ticket: Long) {
        waiting.remove(ticket)?.resume(Unit)
    }

    private suspend inline fun until(crossinline begin: (Long) -> Int, crossinline giveUp: (Long) -> Unit) =
        suspendCancellableCoroutine { continuation ->
            val ticket = next.incrementAndGet()
            waiting[ticket] = continuation
            continuation.invokeOnCancellation {
                waiting.remove(ticket)
                giveUp(ticket)
            }
            if (begin(ticket) == 0) {
                over(ticket)
            } else if (!continuation.isActive) {
                // It was given up before it began.
                giveUp(ticket)
            }
        }
}

/**
 * Waits for the library so that whoever waits goes on elsewhere than on its thread. A coroutine that no dispatcher confines would
 * go on right there, and all connections would stand still for as long as it blocks.
 */
internal suspend fun <R> offTheLibrary(wait: suspend () -> R): R {
    val confining = coroutineContext[ContinuationInterceptor]
    if (confining != null && confining != Dispatchers.Unconfined) return wait()
    return withContext(Dispatchers.Default) { wait() }
}

/** See `bindings/ffi/src/lent.rs`. */
@Suppress("FunctionName")
internal object LentCalls {
    /** Something else is to be told, in the other way. */
    const val ELSEWHERE = -1

    /** Nothing so far. */
    const val NOTHING_YET = -2

    init {
        Native.register(LentCalls::class.java, System.getProperty("uniffi.component.twinpath_ffi.libraryOverride") ?: "twinpath_ffi")
    }

    /** Takes the ticket of a wait that is over. */
    fun interface Tell : Callback {
        fun callback(ticket: Long)
    }

    @JvmStatic
    external fun twinpath_try_read(number: Long, address: Long, length: Int): Int

    @JvmStatic
    external fun twinpath_try_write(number: Long, address: Long, length: Int): Int

    @JvmStatic
    external fun twinpath_tell_by(tell: Tell): Int

    @JvmStatic
    external fun twinpath_when_readable(number: Long, ticket: Long): Int

    @JvmStatic
    external fun twinpath_when_writable(number: Long, ticket: Long): Int

    @JvmStatic
    external fun twinpath_not_when_readable(number: Long, ticket: Long)

    @JvmStatic
    external fun twinpath_not_when_writable(number: Long, ticket: Long)
}
