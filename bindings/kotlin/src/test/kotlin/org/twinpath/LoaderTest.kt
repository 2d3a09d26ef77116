package org.twinpath

import java.io.File
import java.lang.reflect.InvocationTargetException
import java.net.URLClassLoader
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

internal class LoaderTest {
    @Test
    fun `a second class loader is refused in words and the first one goes on`() = inLab {
        connector().use { it.toGateway() }.use { connection ->
            val paths = System.getProperty("java.class.path").split(File.pathSeparator).map { File(it).toURI().toURL() }
            URLClassLoader(paths.toTypedArray(), ClassLoader.getPlatformClassLoader()).use { second ->
                val library = second.loadClass(TwinpathLibrary::class.java.name)
                val instance = library.getField("INSTANCE").get(null)
                val thrown = assertThrows(InvocationTargetException::class.java) { library.getMethod("getVersion").invoke(instance) }
                assertEquals(TwinpathException::class.java.name, thrown.cause?.javaClass?.name, "${thrown.cause}")
                assertTrue("class loader" in thrown.cause?.message.orEmpty(), "${thrown.cause}")
            }
            connection.write("hello".toByteArray())
            assertEquals("hello", connection.readExactly(5).decodeToString())
        }
    }
}
