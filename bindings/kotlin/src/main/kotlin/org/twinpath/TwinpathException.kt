package org.twinpath

import java.io.IOException
import java.nio.charset.CharacterCodingException
import kotlinx.coroutines.CancellationException
import org.twinpath.ffi.Failure
import org.twinpath.ffi.InternalException
import org.twinpath.ffi.Kind

/** The coarse kind of an error: what a caller might act on. */
public enum class ErrorKind {
    /** The call itself was wrong. */
    INVALID_INPUT,
    /** A named interface does not exist, or none is usable. */
    NO_INTERFACE,
    /** The name has no address, or could not be looked up. */
    NAME_NOT_FOUND,
    /** Nobody listens at the target. */
    REFUSED,
    /** No route leads to the target. */
    UNREACHABLE,
    /** No answer in time. */
    TIMED_OUT,
    /** The system does not allow it, or the server is not trusted. */
    NOT_PERMITTED,
    /** The peer was said to be a gateway, and is none. */
    NOT_A_GATEWAY,
    /** The gateway refused the session, or speaks another version. */
    GATEWAY_REFUSED,
    /** The gateway does not hold the pinned key. */
    PIN_MISMATCH,
    /** The connection broke; see [TwinpathException.interruption]. */
    INTERRUPTED,
    /** The connection was reset by one of its ends. */
    RESET,
    /** The peer broke the protocol. */
    PROTOCOL,
    /** The connection is closed. */
    CLOSED,
    /** This platform cannot do it. */
    UNSUPPORTED,
    /** Anything else; the message says what. */
    OTHER,
}

/** What is known when a connection to a server that is no gateway has lost its path. */
public data class Interruption(
    /** The path that was lost. */
    val role: Role,
    /** Bytes that were written since the connection was made. */
    val written: Long,
    /** Of these, bytes that the server's kernel is known to have; `null` where the system does not tell. */
    val acknowledged: Long?,
    /** Bytes that were read, or could be before this error was given. */
    val read: Long,
)

/** What every call may fail with. The message says what happened, and what to do about it. */
public class TwinpathException internal constructor(
    /** What a caller might act on. */
    public val kind: ErrorKind,
    message: String,
    /** The operating system's error number, where there is one. */
    public val osCode: Int? = null,
    /** With [ErrorKind.INTERRUPTED], towards servers that are no gateways. */
    public val interruption: Interruption? = null,
    cause: Throwable? = null,
) : IOException(message, cause)

/** A write was cancelled, and the connection can be used as before. */
public class WriteCancelledException internal constructor(
    /** So many of the bytes were accepted, and will arrive. */
    public val accepted: Int,
    cause: CancellationException,
) : CancellationException("a write was cancelled after $accepted bytes") {
    init {
        initCause(cause)
    }
}

/** Runs a call of the library and has its failures typed. */
internal inline fun <T> translated(call: () -> T): T =
    try {
        call()
    } catch (failure: Failure.Failed) {
        throw failure.asException()
    } catch (cancelled: CancellationException) {
        throw cancelled
    } catch (gone: IllegalStateException) {
        throw TwinpathException(ErrorKind.CLOSED, "it is closed", cause = gone)
    } catch (text: CharacterCodingException) {
        throw TwinpathException(ErrorKind.INVALID_INPUT, "half a character (a lone surrogate) is no text", cause = text)
    } catch (bug: InternalException) {
        throw TwinpathException(ErrorKind.OTHER, "the library failed: ${bug.message}", cause = bug)
    }

internal fun Failure.Failed.asException(): Exception {
    val lost = interruption
    return TwinpathException(
        kind.asErrorKind(),
        reason,
        osCode,
        lost?.let {
            Interruption(it.role.asRole(), it.written.toLong(), it.acknowledged?.toLong(), it.read.toLong())
        },
        this,
    )
}

internal fun Kind.asErrorKind(): ErrorKind =
    when (this) {
        Kind.INVALID_INPUT -> ErrorKind.INVALID_INPUT
        Kind.NO_INTERFACE -> ErrorKind.NO_INTERFACE
        Kind.NAME_NOT_FOUND -> ErrorKind.NAME_NOT_FOUND
        Kind.REFUSED -> ErrorKind.REFUSED
        Kind.UNREACHABLE -> ErrorKind.UNREACHABLE
        Kind.TIMED_OUT -> ErrorKind.TIMED_OUT
        Kind.NOT_PERMITTED -> ErrorKind.NOT_PERMITTED
        Kind.NOT_A_GATEWAY -> ErrorKind.NOT_A_GATEWAY
        Kind.GATEWAY_REFUSED -> ErrorKind.GATEWAY_REFUSED
        Kind.PIN_MISMATCH -> ErrorKind.PIN_MISMATCH
        Kind.INTERRUPTED -> ErrorKind.INTERRUPTED
        Kind.RESET -> ErrorKind.RESET
        Kind.PROTOCOL -> ErrorKind.PROTOCOL
        Kind.CLOSED -> ErrorKind.CLOSED
        Kind.UNSUPPORTED -> ErrorKind.UNSUPPORTED
        // Coroutines have their own way to be cancelled.
        Kind.CANCELLED, Kind.OTHER -> ErrorKind.OTHER
    }
