"""What coincurve 21.0.0 and fastecdsa 3.0.1 answered: vectors for `adaptations.curves`. Bytes are in hexadecimal.

"ValueError" stands for an answer that is one, and for one that is a subclass of it."""

SECP256K1 = {
    "0000000000000000000000000000000000000000000000000000000000000001": (
        "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        (
            "3044022077c8d336572f6f466055b5f70f433851f8f535f6c4fc71133a6cfd71079d03b702200ed9f5eb8aa5b266abac35d4"
            "16c3207e7a538bf5f37649727d7a9823b1069577",
            "30440220346b88f5c33c903d2035b1069201eb17bbd839f9d72c8cbd25bf228d18391ac00220333aa4a200256e4cab30cca4"
            "f1e0f8b4ec0d4c0fa9f614d1ca65ddc0e8636fac",
            "304402204c655600714b014384012955d945d10f8ab7df23460b93f7b92128070dcefb3e02201e9324d9578a5364904bdc37"
            "304d4a1142228af33cf3b60073484ea94baf615f",
        ),
    ),
    "0000000000000000000000000000000000000000000000000000000000000002": (
        "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
        (
            "3045022100a53ba0f56f12cc97761c3ca6606c976207f7c77739d992fbb30c8e894c65319602202d684f62bdbe92bf49e5b5"
            "8eef9a74b3643fa775c8f6ad5f233e8ccec00732b9",
            "3044022058f6ae2bf56c75922ab75b16ea8177f9872907e400fb1803167bcbd4bd0c5b9402202b67635df6bd725626e147ae"
            "aac43653a87ea51742ed2b946f1855e68d5c9d59",
            "3044022015a3a0dfe53b8ce223d908c29ac5c987f25f11580d51a246558e6afc5a7747c502205ccb4e86c71d973194c9c467"
            "5257fb84c60fbb27dade7dbae9d27316c516af17",
        ),
    ),
    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140": (
        "0379be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        (
            "3045022100ea045bf0962ecc4d5aa84c8e716c87c9d5f49fba8e1ff0300ab2631de3d83b43022051270ec8105346fddf35da"
            "5958d99ff55a0c0f720d6ae7f3e3eadd40a9ccfe0e",
            "3045022100d38cb172749f3f47396bf33b13845f3b97c729f2666f410adc81615bfe7af9ff0220132f4e568a4bf4f3e5d700"
            "e4f6c8a49b280bb6791fdbb62ccf92aa4e661f77bf",
            "30450221008ded1ab271e48cea5e2df11cfbb9f47f600e980a11eac51c509451c96a9d97010220172dd0f38807277facf069"
            "74c6b44a1bae40980a25a9ab23646c96ec9002e128",
        ),
    ),
    "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb": (
        "034da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f3126",
        (
            "3045022100e164d8ca06a361e11fbf81ad4422aa3ec73289dabb8fcf9ee445a44c4110c0ed02200627d1973edf87b1f1705c"
            "4e3efdbd68d2f7662157ce9223339ba36af8d8c773",
            "30440220204851ea1bf80a1ed58624e3a26f0823dd97d3b855d101613de133c889c4fd1c022066b0ade4ef9486ad8b190c2c"
            "59ecbe151479cfe112c4547792a654789172e838",
            "3044022006b51968e7fdc9920aa35bac4e857d30461d4c6d4304528d305ddf6e0ee8f506022065b13698fab991e38ad6c808"
            "f1de759024a53d6d45b5e968d666c7315a652f0f",
        ),
    ),
    "0000000000000000000000000000000000000000010101010101010101010101": (
        "026ab9b8b9f4bca8bf6c883adb767730c55ef07bae4df3f0669325e6d73b7a6caf",
        (
            "3045022100a1c9fffd49264f1704002a85a95ead7926755b2b615a4d5c2954f10468682cc2022041008205eb1950acb312d7"
            "5a142cb8155a586cece42583f8457fa645b6bbd0ff",
            "3045022100da2706108d7542c832d1813ee332e7ddc5f4b4b385a1f21f0e1121d47ae19f02022018814acdc1086594f2755b"
            "e47db56237c60e8cc90f3674b1c1b3f34e2fb55b66",
            "30440220595aefd4dab0eaa900719f27fa3ec3d1b63d7f4f2eb06b029e5fbb325c6c835d022055ff87d845073be190da7fd7"
            "55cae621d14c3561ff369da57b0aafbd78ed970f",
        ),
    ),
}
"""By secret: the compressed public key, and the signatures of `MESSAGES`."""
MESSAGES = (b"", b"libp2p", b"x" * 1000)

SIGNATURES = {
    "right": (
        (
            "30440220204851ea1bf80a1ed58624e3a26f0823dd97d3b855d101613de133c889c4fd1c022066b0ade4ef9486ad8b190c2c"
            "59ecbe151479cfe112c4547792a654789172e838"
        ),
        True,
    ),
    "another message": (
        (
            "3045022100e67834339b8c0a018fbc8e7709cfaf43fdae13671085427823d9cffb0201c774022014ea4d3c8d031f4198eae5"
            "cfa12e1d1f1a0b61b0d58c924182853b7656a4c49d"
        ),
        False,
    ),
    "another key": (
        (
            "3045022100d51d0d4e0a5d72f8f8283947f13138067ec30c2d5b412060919415772837f2f9022018689b4f0f39b8fc6fadb4"
            "f4084954e371fc5f2658144a7d01dd9cd18f69ea56"
        ),
        False,
    ),
    "high s": (
        (
            "30450220204851ea1bf80a1ed58624e3a26f0823dd97d3b855d101613de133c889c4fd1c022100994f521b106b795274e6f3"
            "d3a61341e9a6350d059c844bc42d2c0a143ec35909"
        ),
        False,
    ),
    "r of zero": (
        "3025020100022066b0ade4ef9486ad8b190c2c59ecbe151479cfe112c4547792a654789172e838",
        False,
    ),
    "s of zero": (
        "30250220204851ea1bf80a1ed58624e3a26f0823dd97d3b855d101613de133c889c4fd1c020100",
        False,
    ),
    "r of the order": (
        (
            "3045022100fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141022066b0ade4ef9486ad8b190c"
            "2c59ecbe151479cfe112c4547792a654789172e838"
        ),
        False,
    ),
    "s of the order": (
        (
            "30450220204851ea1bf80a1ed58624e3a26f0823dd97d3b855d101613de133c889c4fd1c022100ffffffffffffffffffffff"
            "fffffffffebaaedce6af48a03bbfd25e8cd0364141"
        ),
        False,
    ),
    "r above the order": (
        (
            "3045022101204851ea1bf80a1ed58624e3a26f08229846b09f0519a19cfdb3925559fb3e5d022066b0ade4ef9486ad8b190c"
            "2c59ecbe151479cfe112c4547792a654789172e838"
        ),
        False,
    ),
    "trailing byte": (
        (
            "30440220204851ea1bf80a1ed58624e3a26f0823dd97d3b855d101613de133c889c4fd1c022066b0ade4ef9486ad8b190c2c"
            "59ecbe151479cfe112c4547792a654789172e83800"
        ),
        "ValueError",
    ),
    "cut": (
        (
            "30440220204851ea1bf80a1ed58624e3a26f0823dd97d3b855d101613de133c889c4fd1c022066b0ade4ef9486ad8b190c2c"
            "59ecbe151479cfe112c4547792a654789172e8"
        ),
        "ValueError",
    ),
    "nothing": (
        "",
        "ValueError",
    ),
    "long length form": (
        (
            "3081440220204851ea1bf80a1ed58624e3a26f0823dd97d3b855d101613de133c889c4fd1c022066b0ade4ef9486ad8b190c"
            "2c59ecbe151479cfe112c4547792a654789172e838"
        ),
        "ValueError",
    ),
    "padded number": (
        (
            "3046022100204851ea1bf80a1ed58624e3a26f0823dd97d3b855d101613de133c889c4fd1c02210066b0ade4ef9486ad8b19"
            "0c2c59ecbe151479cfe112c4547792a654789172e838"
        ),
        "ValueError",
    ),
    "negative r": (
        "3006020181020101",
        False,
    ),
    "compact": (
        (
            "204851ea1bf80a1ed58624e3a26f0823dd97d3b855d101613de133c889c4fd1c66b0ade4ef9486ad8b190c2c59ecbe151479"
            "cfe112c4547792a654789172e838"
        ),
        "ValueError",
    ),
    "junk": (
        (
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
            "ffffffffffffffffffffffffffffffffffffffff"
        ),
        "ValueError",
    ),
    "a huge number": (
        (
            "3082010802820101010101010101010101010101010101010101010101010101010101010101010101010101010101010101"
            "0101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101"
            "0101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101"
            "0101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101"
            "0101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101"
            "010101010101010101010101010101020101"
        ),
        False,
    ),
    "indefinite": (
        (
            "30800220204851ea1bf80a1ed58624e3a26f0823dd97d3b855d101613de133c889c4fd1c022066b0ade4ef9486ad8b190c2c"
            "59ecbe151479cfe112c4547792a654789172e8380000"
        ),
        "ValueError",
    ),
}
"""Signatures of b"libp2p", and whether the fourth secret made them."""

POINTS = {
    "compressed": (
        "034da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f3126",
        "034da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f3126",
    ),
    "uncompressed": (
        (
            "044da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f3126da0a0909f11998130c2d0e86a485f4e79e"
            "e466a183a476c432c68758ab9e630b"
        ),
        "034da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f3126",
    ),
    "hybrid": (
        (
            "074da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f3126da0a0909f11998130c2d0e86a485f4e79e"
            "e466a183a476c432c68758ab9e630b"
        ),
        "034da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f3126",
    ),
    "hybrid of the wrong parity": (
        (
            "064da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f3126da0a0909f11998130c2d0e86a485f4e79e"
            "e466a183a476c432c68758ab9e630b"
        ),
        "ValueError",
    ),
    "not on the curve": (
        "020000000000000000000000000000000000000000000000000000000000000005",
        "ValueError",
    ),
    "x of the field": (
        "02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f",
        "ValueError",
    ),
    "x beyond the field": (
        "02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30",
        "ValueError",
    ),
    "a wrong y": (
        (
            "044da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f3126da0a0909f11998130c2d0e86a485f4e79e"
            "e466a183a476c432c68758ab9e630a"
        ),
        "ValueError",
    ),
    "infinity": (
        "00",
        "ValueError",
    ),
    "nothing": (
        "",
        "ValueError",
    ),
    "short": (
        "034da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f31",
        "ValueError",
    ),
    "long": (
        "034da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f312600",
        "ValueError",
    ),
    "another prefix": (
        "054da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f3126",
        "ValueError",
    ),
    "prefix of the other length": (
        "044da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f3126",
        "ValueError",
    ),
    "uncompressed prefix of compressed": (
        (
            "024da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f3126da0a0909f11998130c2d0e86a485f4e79e"
            "e466a183a476c432c68758ab9e630b"
        ),
        "ValueError",
    ),
    "long uncompressed": (
        (
            "044da006f958beba78ec54443df4a3f52237253f7ae8cbdb17dccf3feaa57f3126da0a0909f11998130c2d0e86a485f4e79e"
            "e466a183a476c432c68758ab9e630b00"
        ),
        "ValueError",
    ),
}
"""Points of secp256k1, and their compressed form."""

SECRETS = {
    "zero": (
        "00",
        "ValueError",
    ),
    "nothing": (
        "",
        "ValueError",
    ),
    "order": (
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        "ValueError",
    ),
    "order less one": (
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140",
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140",
    ),
    "short": (
        "07",
        "0000000000000000000000000000000000000000000000000000000000000007",
    ),
    "long": (
        "000101010101010101010101010101010101010101010101010101010101010101",
        "000101010101010101010101010101010101010101010101010101010101010101",
    ),
    "long zero-led": (
        "00000000000000000000000000000000000000000000000000000000000000000007",
        "ValueError",
    ),
}
"""Secrets of secp256k1, and how they are kept."""

P256 = {
    0x1: (
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162b"
        "ce33576b315ececbb6406837bf51f5",
        "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "e1a36194910ea0073d47bff67b53b80c001dbc61f24344c54ebf92223cb53134",
    ),
    0x2: (
        "047cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc4766997807775510db8ed040293d9ac69f7430dbba"
        "7dade63ce982299e04b79d227873d1",
        "037cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978",
        "80705d9e166451051ca7d139062ac4659703be0b0b0458fc6d7cb7f0ef40feda",
    ),
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632550: (
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296b01cbd1c01e58065711814b583f061e9d4"
        "31cca994cea1313449bf97c840ae0a",
        "026b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "fea493a9a5b37054e9d6b60e57a66eb94bca0ef4185b22b6672a3f359c2a5639",
    ),
    0x148DE9C5A7A44D19E56CD9AE1A554BF67847AFB0C58F6E12FA29AC7DDFCA9940: (
        "045c6ce8ebd0793c443a1fade34269807652f2beed173a1a03a96707e5e3e6728e0f7842575e274067030c659cd4b414422e"
        "9aaf8a5163312b638702b37ade11dd",
        "035c6ce8ebd0793c443a1fade34269807652f2beed173a1a03a96707e5e3e6728e",
        "838885862183f5f6fae5e11b3c9b5d5995adf974e8296fd93b8f301990a7610c",
    ),
    0x100000000000000000000000000000000000000000000000005: (
        "04b5a56b312028194693f9fbd716429a7dfb01e44994f4b8da4f5bbdc4545d84b759ff829acace66ce8c2cfb6e81a1d08f14"
        "f339329db8807dd0cdcd6ef3062852",
        "02b5a56b312028194693f9fbd716429a7dfb01e44994f4b8da4f5bbdc4545d84b7",
        "523d4e5ef1ecb28b82986674f1edd654fb0819f17601f3a3e321bf4e04d76002",
    ),
}
"""By number: the public key, the same compressed, and the SHA-256 of the private key in PEM."""

EXCHANGES = (
    (
        0x1,
        "047cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc4766997807775510db8ed040293d9ac69f7430dbba"
        "7dade63ce982299e04b79d227873d1",
        0x7CF27B188D034F7E8A52380304B51AC3C08969E277F21B35A60B48FC47669978,
    ),
    (
        0x148DE9C5A7A44D19E56CD9AE1A554BF67847AFB0C58F6E12FA29AC7DDFCA9940,
        "04b5a56b312028194693f9fbd716429a7dfb01e44994f4b8da4f5bbdc4545d84b759ff829acace66ce8c2cfb6e81a1d08f14"
        "f339329db8807dd0cdcd6ef3062852",
        0x21C2B27CD793A1D4CDDD134E466E99A14DC7CD90238DA33DB68D81E1339DF988,
    ),
    (
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632550,
        "045ecbe4d1a6330a44c8f7ef951d4bf165e6c6b721efada985fb41661bc6e7fd6c8734640c4998ff7e374b06ce1a64a2ecd8"
        "2ab036384fb83d9a79b127a27d5032",
        0x5ECBE4D1A6330A44C8F7EF951D4BF165E6C6B721EFADA985FB41661BC6E7FD6C,
    ),
)
"""A number, a public key, and the first coordinate of their product."""

P256_POINTS = {
    "compressed": (
        "035c6ce8ebd0793c443a1fade34269807652f2beed173a1a03a96707e5e3e6728e",
        (
            "045c6ce8ebd0793c443a1fade34269807652f2beed173a1a03a96707e5e3e6728e0f7842575e274067030c659cd4b414422e"
            "9aaf8a5163312b638702b37ade11dd"
        ),
    ),
    "uncompressed": (
        (
            "045c6ce8ebd0793c443a1fade34269807652f2beed173a1a03a96707e5e3e6728e0f7842575e274067030c659cd4b414422e"
            "9aaf8a5163312b638702b37ade11dd"
        ),
        (
            "045c6ce8ebd0793c443a1fade34269807652f2beed173a1a03a96707e5e3e6728e0f7842575e274067030c659cd4b414422e"
            "9aaf8a5163312b638702b37ade11dd"
        ),
    ),
    "nothing": (
        "",
        "ValueError",
    ),
    "short": (
        (
            "045c6ce8ebd0793c443a1fade34269807652f2beed173a1a03a96707e5e3e6728e0f7842575e274067030c659cd4b414422e"
            "9aaf8a5163312b638702b37ade11"
        ),
        "ValueError",
    ),
    "long": (
        (
            "045c6ce8ebd0793c443a1fade34269807652f2beed173a1a03a96707e5e3e6728e0f7842575e274067030c659cd4b414422e"
            "9aaf8a5163312b638702b37ade11dd00"
        ),
        "ValueError",
    ),
    "a wrong y": (
        (
            "045c6ce8ebd0793c443a1fade34269807652f2beed173a1a03a96707e5e3e6728e0f7842575e274067030c659cd4b414422e"
            "9aaf8a5163312b638702b37ade11dc"
        ),
        "ValueError",
    ),
    "hybrid": (
        (
            "075c6ce8ebd0793c443a1fade34269807652f2beed173a1a03a96707e5e3e6728e0f7842575e274067030c659cd4b414422e"
            "9aaf8a5163312b638702b37ade11dd"
        ),
        "ValueError",
    ),
    "not on the curve": (
        "020000000000000000000000000000000000000000000000000000000000000001",
        "ValueError",
    ),
    "prefix": (
        "055c6ce8ebd0793c443a1fade34269807652f2beed173a1a03a96707e5e3e6728e",
        "ValueError",
    ),
    "infinity": (
        "00",
        "ValueError",
    ),
    "x reduced": (
        (
            "045c6ce8ebd0793c443a1fade34269807652f2beed173a1a03a96707e5e3e6728e0f7842575e274067030c659cd4b414422e"
            "9aaf8a5163312b638702b37ade11dd"
        ),
        (
            "045c6ce8ebd0793c443a1fade34269807652f2beed173a1a03a96707e5e3e6728e0f7842575e274067030c659cd4b414422e"
            "9aaf8a5163312b638702b37ade11dd"
        ),
    ),
}
"""Points of P-256, and their form that is not compressed."""
