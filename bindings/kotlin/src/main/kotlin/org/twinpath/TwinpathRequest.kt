package org.twinpath

import java.io.File
import kotlin.time.Duration
import org.twinpath.ffi.Header as FfiHeader
import org.twinpath.ffi.Payload
import org.twinpath.ffi.Request

/** One header. */
public data class Header(val name: String, val value: String)

/** The body of a request. Every kind can be sent again from its start. */
public sealed interface RequestBody {
    /** There is none. */
    public data object None : RequestBody

    /** These bytes. */
    public class Bytes(public val bytes: ByteArray) : RequestBody

    /** What is in that file, which must not change meanwhile. */
    public data class OfFile(val file: File) : RequestBody
}

/** A request. */
public class TwinpathRequest(
    /** Its method, as in `POST`. */
    public val method: String,
    /** What it is for. */
    public val url: String,
    /** Its headers. */
    public val headers: List<Header> = emptyList(),
    /** Its body. */
    public val body: RequestBody = RequestBody.None,
    /**
     * Names the request, so that the server knows it when it comes twice: then a POST or PATCH is sent again over another
     * path. A new name for each request, as a UUID.
     */
    public val idempotencyKey: String? = null,
    /** Whether it does no harm when it is processed twice; by its method if `null`. */
    public val repeatable: Boolean? = null,
    /** How long it may take up to the head of the answer; as the client has it if `null`. */
    public val timeout: Duration? = null,
) {
    internal fun asFfi(): Request =
        Request(
            method,
            url,
            headers.map { FfiHeader(it.name, it.value) },
            when (body) {
                RequestBody.None -> Payload.Nothing
                is RequestBody.Bytes -> Payload.InMemory(body.bytes)
                is RequestBody.OfFile -> Payload.InFile(body.file.path)
            },
            idempotencyKey,
            repeatable,
            timeout?.asFfi("timeout"),
        )
}
