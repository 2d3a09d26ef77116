// The library for the JVM: the same as pom.xml builds.
plugins {
    kotlin("jvm") version "2.2.20"
    `java-library`
    `maven-publish`
}

group = "org.twinpath"
version = "0.1.0"

kotlin {
    explicitApi()
    jvmToolchain(17)
    compilerOptions { jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_11 }
    sourceSets.main { kotlin.srcDirs("../src/main/kotlin", "../generated") }
}

java { targetCompatibility = JavaVersion.VERSION_11 }

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-core:1.10.2")
    implementation("net.java.dev.jna:jna:5.17.0")
    compileOnly("com.squareup.okhttp3:okhttp-jvm:5.1.0")
}

publishing {
    publications { create<MavenPublication>("jvm") { from(components["java"]); artifactId = "twinpath" } }
}
