plugins {
    id("com.android.application") version "8.13.0"
    kotlin("android") version "2.2.20"
}

android {
    namespace = "org.twinpath.demo"
    compileSdk = 36
    defaultConfig {
        applicationId = "org.twinpath.demo"
        minSdk = 26
        targetSdk = 36
        versionCode = 1
        versionName = "0.1.0"
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
}

kotlin {
    compilerOptions { jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_11 }
}

dependencies {
    // Built from bindings/kotlin/android: see settings.gradle.kts.
    implementation("org.twinpath:twinpath-android:0.1.0")
}
