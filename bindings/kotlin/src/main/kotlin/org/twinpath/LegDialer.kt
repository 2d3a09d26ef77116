package org.twinpath

import java.net.InetAddress
import java.nio.ByteBuffer
import kotlin.time.Duration
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.asExecutor
import org.twinpath.ffi.Failure
import org.twinpath.ffi.Kind
import org.twinpath.ffi.LegDialer as FfiLegDialer
import org.twinpath.ffi.LegFacts
import org.twinpath.ffi.LegTarget as FfiLegTarget
import org.twinpath.ffi.LegPipe as FfiLegPipe
import org.twinpath.ffi.PlatformLeg as FfiPlatformLeg
import org.twinpath.ffi.Service

/**
 * Opens legs (TCP connections on one path) instead of the library, which binds sockets to interfaces by itself. For
 * platforms and tests where something else has to.
 */
public fun interface LegDialer {
    /** Begins to open a leg, and tells [pipe] what becomes of it. Called on the library's thread: it has to return at once. */
    public fun dial(target: LegTarget, pipe: LegPipe): PlatformLeg
}

/** Where a leg goes, and by which way. */
public data class LegTarget(
    /** The role of its path. */
    val role: Role,
    /** The interface it must leave by; the system's choice if `null`. */
    val interfaceName: String?,
    /** What that interface is. */
    val kind: InterfaceKind?,
    /** Android's `Network.getNetworkHandle()`, where the library was told of it. */
    val networkHandle: Long?,
    /** The host, to be looked up over that interface if there are no [addresses]. */
    val host: String,
    /** The TCP port. */
    val port: Int,
    /** Addresses to be tried instead of the host, the best first: a further leg has to reach the server of the first. */
    val addresses: List<InetAddress>,
)

/**
 * A leg that a [LegDialer] opens. Its calls come one at a time, on the library's thread but for the last, and have to return at
 * once: all connections wait for them.
 */
public interface PlatformLeg {
    /** Sends [bytes] after all that came before. [LegPipe.sent] tells when they are taken. */
    public fun send(bytes: ByteArray)

    /** Receives once, at least one byte and [max] at most, and answers with [LegPipe.received]. */
    public fun receive(max: Int)

    /** Ends the sending direction after all that was sent. */
    public fun finish()

    /**
     * Gives the leg up, at any time: the last call, on a thread where it may wait. What was sent still leaves, unless it is
     * [aborted]; then the peer is told by a reset, where there is such a thing.
     */
    public fun close(aborted: Boolean)
}

/**
 * By which a [PlatformLeg] tells what becomes of it: from any thread, and inside of the calls that ask for it as well. What
 * is told after the leg was closed is ignored.
 */
public class LegPipe internal constructor(private val ffi: FfiLegPipe) {
    /** The leg is open. Without [peer], a further leg may reach another server of the same name. */
    public fun connected(peer: InetAddress?, rtt: Duration?) {
        tell { connected(LegFacts(peer?.hostAddress, rtt?.asFfi("rtt"))) }
    }

    /** So many more bytes are taken. */
    public fun sent(bytes: Int) {
        require(bytes >= 0) { "what was sent is not negative" }
        tell { sent(bytes.toUInt()) }
    }

    /** The next bytes have come: those that remain in [bytes], which is faster if it is a direct buffer. */
    public fun received(bytes: ByteBuffer) {
        val direct = if (bytes.isDirect) bytes else ByteBuffer.allocateDirect(bytes.remaining()).put(bytes).flip()
        tell { received(direct) }
    }

    /** The peer has ended its direction. */
    public fun receivedEnd() {
        tell { receivedEnd() }
    }

    /** The leg could not be opened, or is lost. A number of the operating system's says more than a kind. */
    public fun failed(kind: ErrorKind, message: String, osCode: Int? = null) {
        tell { failed(Kind.valueOf(kind.name), message, osCode) }
    }

    internal fun release() {
        ffi.destroy()
    }

    private inline fun tell(what: FfiLegPipe.() -> Unit) {
        try {
            translated { ffi.what() }
        } catch (late: TwinpathException) {
            if (late.kind != ErrorKind.CLOSED) throw late
        }
    }
}

/** Tells the library of whatever is thrown. It would take a call that ends in an [Error] for one that went well. */
internal inline fun <T> answered(call: () -> T): T =
    try {
        call()
    } catch (thrown: Throwable) {
        throw Failure.Failed(Kind.OTHER, "$thrown", null, null)
    }

/** A dialer as the library calls it. */
internal class CalledDialer(private val dialer: LegDialer) : FfiLegDialer {
    override fun dial(target: FfiLegTarget, pipe: FfiLegPipe): FfiPlatformLeg {
        val way = target.`interface`
        val asked = LegTarget(
            target.role.asRole(),
            way?.name,
            way?.kind?.asKind(),
            way?.networkHandle?.toLong(),
            target.host,
            target.port.toInt(),
            target.addresses.map(InetAddress::getByName),
        )
        val told = LegPipe(pipe)
        try {
            return CalledLeg(answered { dialer.dial(asked, told) }, told)
        } catch (failed: Failure) {
            told.release()
            throw failed
        }
    }

    /** Android has no MPTCP for apps, and no connector here asks for it. */
    override fun dialMultipath(target: FfiLegTarget, service: Service, pipe: FfiLegPipe): FfiPlatformLeg =
        throw Failure.Failed(Kind.UNSUPPORTED, "there is no MPTCP of the platform's here", null, null)
}

/** Where what may wait is called. */
private val elsewhere = Dispatchers.IO.asExecutor()

private class CalledLeg(private val leg: PlatformLeg, private val pipe: LegPipe) : FfiPlatformLeg {
    override fun send(bytes: ByteArray) = answered { leg.send(bytes) }

    override fun receive(max: UInt) = answered { leg.receive(max.toInt()) }

    override fun finish() = answered { leg.finish() }

    /** The library is in the middle of the connection's affairs: it would wait for whoever asks the connection for something. */
    override fun close(aborted: Boolean) = elsewhere.execute {
        try {
            leg.close(aborted)
        } catch (_: Throwable) {
            // Nobody wants to know: the leg is given up.
        } finally {
            pipe.release()
        }
    }
}
