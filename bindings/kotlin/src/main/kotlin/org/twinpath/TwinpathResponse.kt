package org.twinpath

import java.io.ByteArrayOutputStream
import java.io.Closeable
import java.io.File
import kotlin.time.Duration
import kotlin.time.toKotlinDuration
import org.twinpath.ffi.Answer
import org.twinpath.ffi.RequestSummary as FfiRequestSummary

/** How far a body is. */
public data class Progress(
    /** Bytes that were handed over. */
    val received: Long,
    /** All there are; `null` if that is not known. */
    val total: Long?,
)

/** What one path has carried of a request and its answer. */
public data class PathUse(
    val role: Role,
    val interfaceName: String?,
    val kind: InterfaceKind?,
    val cost: Cost,
    /** Bytes of the answer's body. */
    val body: Long,
    /** Bytes of TCP payload sent over it. */
    val sent: Long,
    /** Bytes of TCP payload received over it. */
    val received: Long,
)

/** The account of a request so far. */
public data class RequestSummary(
    /** How the newest connection of it runs. */
    val mode: Mode?,
    /** What the paths have carried, in the order in which they came into use. */
    val paths: List<PathUse>,
    /** Times the request was sent again before anything of its answer was handed over. */
    val replays: Int,
    /** Times the answer was gone on with in its middle. */
    val resumes: Int,
    /** Times the answer was fetched from its start again. */
    val restarts: Int,
    /** Times it was sent on the backup as well, for want of an answer. */
    val hedges: Int,
    /** Times it left a dead path for another one. */
    val failovers: Int,
    /** Times it went back to the primary path. */
    val failbacks: Int,
    /** Redirects that were followed. */
    val redirects: Int,
    /** Bytes of body that were received twice. */
    val fetchedAgain: Long,
    /** The longest time for which nothing came while the caller waited. */
    val worstStall: Duration,
    /** Bytes of TCP payload over backup paths, both ways. */
    val onBackup: Long,
)

/**
 * An answer. Its body is fetched as far as it is taken; what is no longer wanted is not fetched once the answer is closed.
 * Cancelling a call loses nothing of it.
 */
public class TwinpathResponse internal constructor(private val ffi: Answer) : Closeable {
    private val head = translated { ffi.head() }
    private val reading = Reading(translated { ffi.number() }.toLong(), ffi::tryRead, ffi::hasEnded)

    /** The status, as in 200. */
    public val status: Int = head.status.toInt()

    /** The version of HTTP, as in `HTTP/2.0`. */
    public val version: String get() = head.version

    /** Where the answer came from, after redirects. */
    public val url: String get() = head.url

    /** The headers. */
    public val headers: List<Header> = head.headers.map { Header(it.name, it.value) }

    /** The length of the body; `null` if it is not known. */
    public val contentLength: Long? get() = head.contentLength?.toLong()

    /** The value of the first header of that name, in whatever letters. */
    public fun header(name: String): String? = headers.firstOrNull { it.name.equals(name, ignoreCase = true) }?.value

    /**
     * The next bytes of the body, at most [max]; `null` at its end.
     *
     * @throws TwinpathException if the answer broke off and could not be gone on with.
     */
    public suspend fun read(max: Int = LARGE_PIECE): ByteArray? = reading.next(max)

    /**
     * Puts the next bytes of the body into an array, at most [length] of them, and gives their number; -1 at its end. An array
     * that is used again and again costs less than a new one for each read.
     *
     * @throws TwinpathException if the answer broke off and could not be gone on with.
     */
    public suspend fun read(into: ByteArray, offset: Int = 0, length: Int = into.size - offset): Int =
        reading.next(into, offset, length)

    /** What [read] gives where nothing has to be waited for; `null` where something has to, or goes wrong. */
    internal fun now(into: ByteArray, offset: Int = 0, length: Int = into.size): Int? = reading.now(into, offset, length)

    /** The rest of the body, if it is no longer than [limit]. */
    public suspend fun bytes(limit: Int = 16 * 1024 * 1024): ByteArray {
        val all = ByteArrayOutputStream()
        while (true) {
            val piece = read() ?: return all.toByteArray()
            if (piece.size > limit - all.size()) {
                throw TwinpathException(ErrorKind.OTHER, "the answer is larger than $limit bytes")
            }
            all.write(piece)
        }
    }

    /** The rest of the body as text. */
    public suspend fun text(): String = bytes().decodeToString()

    /**
     * Appends the rest of the body to a file and gives the number of bytes. When it is cancelled, what was taken is in the
     * file, and it can be called again.
     */
    public suspend fun saveTo(file: File): Long =
        reading.alone { offTheLibrary { translated { ffi.save(file.path, null) } } }.toLong()

    /** How far the body is. */
    public val progress: Progress
        get() = translated { ffi.progress() }.let { Progress(it.received.toLong(), it.total?.toLong()) }

    /** Which paths carried it, what was done again, and what it cost, so far. */
    public val summary: RequestSummary
        get() = translated { ffi.summary() }.asSummary()

    /** Fetches no more of it. Whoever reads gets [ErrorKind.CLOSED]. */
    override fun close() {
        try {
            translated { ffi.stop() }
        } catch (_: TwinpathException) {
            // It was closed before.
        }
        ffi.destroy()
    }
}

private fun FfiRequestSummary.asSummary() =
    RequestSummary(
        mode?.asMode(),
        paths.map {
            PathUse(
                it.role.asRole(),
                it.`interface`,
                it.kind?.asKind(),
                it.cost.asCost(),
                it.body.toLong(),
                it.sent.toLong(),
                it.received.toLong(),
            )
        },
        replays.toInt(),
        resumes.toInt(),
        restarts.toInt(),
        hedges.toInt(),
        failovers.toInt(),
        failbacks.toInt(),
        redirects.toInt(),
        fetchedAgain.toLong(),
        worstStall.toKotlinDuration(),
        onBackup.toLong(),
    )
