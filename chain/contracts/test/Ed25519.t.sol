// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ed25519} from "../src/Ed25519.sol";
import {Sha512} from "../src/Sha512.sol";
import {Vm} from "./support/Vm.sol";

contract Ed25519Test {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    uint256 internal constant P = 2 ** 255 - 19;
    uint256 internal constant L = 2 ** 252 + 27742317777372353535851937790883648493;
    uint256 internal constant ORDER_8_Y = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826;

    function verify(bytes32 key, bytes memory message, bytes calldata signature) external view returns (bool) {
        return Ed25519.verify(key, message, signature);
    }

    /// @dev RFC 8032, 7.1: tests 1, 2, 3 and SHA(abc).
    function test_rfc8032() public view {
        _assertValid(
            0xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a,
            "",
            hex"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        );
        _assertValid(
            0x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c,
            hex"72",
            hex"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        _assertValid(
            0xfc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025,
            hex"af82",
            hex"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        );
        _assertValid(
            0xec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf,
            hex"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            hex"dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"
        );
    }

    function test_signaturesByAnotherImplementation() public view {
        string memory json = vm.readFile("test/vectors/ed25519.json");
        uint256 count = vm.parseJsonUint(json, ".count");
        for (uint256 i; i < count; ++i) {
            string memory path = string.concat(".vectors[", vm.toString(i), "]");
            bytes memory message = vm.parseJsonBytes(json, string.concat(path, ".message"));
            (bytes32 high, bytes32 low) = Sha512.hash(message);
            vm.assertEq(abi.encode(high, low), vm.parseJsonBytes(json, string.concat(path, ".sha512")));
            bytes32 key = vm.parseJsonBytes32(json, string.concat(path, ".key"));
            _assertValid(key, message, vm.parseJsonBytes(json, string.concat(path, ".signature")));
        }
    }

    function test_sha512OfAbc() public pure {
        (bytes32 high, bytes32 low) = Sha512.hash("abc");
        vm.assertEq(high, 0xddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a);
        vm.assertEq(low, 0x2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f);
    }

    function testFuzz_acceptsWhatTheKeySigned(bytes32 salt, bytes calldata message) public view {
        (bytes32 key, bytes32 secret) = vm.createEd25519Key(salt);
        _assertValid(key, message, vm.signEd25519("", message, secret));
    }

    function testFuzz_refusesAnyChange(bytes32 salt, bytes memory message, uint256 bit) public view {
        (bytes32 key, bytes32 secret) = vm.createEd25519Key(salt);
        bytes memory signature = vm.signEd25519("", message, secret);
        bit = bit % (512 + 256 + 8 * message.length);
        bytes1 mask = bytes1(uint8(1 << (bit % 8)));
        if (bit < 512) signature[bit / 8] ^= mask;
        else if (bit < 768) key ^= bytes32(1 << (bit - 512));
        else message[(bit - 768) / 8] ^= mask;
        vm.assertFalse(this.verify(key, message, signature));
    }

    function testFuzz_neverReverts(bytes32 key, bytes memory message, bytes memory signature) public view {
        vm.assertFalse(this.verify(key, message, signature));
    }

    function testFuzz_refusesScalarsNotBelowTheOrder(bytes32 salt, uint8 times) public view {
        (bytes32 key, bytes32 secret) = vm.createEd25519Key(salt);
        bytes memory signature = vm.signEd25519("", "message", secret);
        (bytes32 r, uint256 s) = _parts(signature);
        _assertValid(key, "message", abi.encodePacked(r, _littleEndian(s)));
        uint256 shifted = s + L * (1 + (times % 14));
        vm.assertFalse(this.verify(key, "message", abi.encodePacked(r, _littleEndian(shifted))));
    }

    function test_refusesOtherLengths() public view {
        (bytes32 key, bytes32 secret) = vm.createEd25519Key("salt");
        bytes memory signature = vm.signEd25519("", "message", secret);
        vm.assertFalse(this.verify(key, "message", ""));
        vm.assertFalse(this.verify(key, "message", abi.encodePacked(signature, uint8(0))));
        bytes memory cut = new bytes(63);
        for (uint256 i; i < 63; ++i) {
            cut[i] = signature[i];
        }
        vm.assertFalse(this.verify(key, "message", cut));
    }

    /// @dev With such a key, R = identity and s = 0 satisfy the equation for one message in eight at least.
    function test_refusesKeysOfSmallOrder() public view {
        uint256[7] memory ys = [0, 1, P - 1, ORDER_8_Y, P - ORDER_8_Y, P, P + 1];
        bytes memory signature = abi.encodePacked(_littleEndian(1), bytes32(0));
        for (uint256 i; i < ys.length; ++i) {
            for (uint8 message; message < 32; ++message) {
                bytes memory text = abi.encodePacked(message);
                vm.assertFalse(this.verify(_littleEndian(ys[i]), text, signature));
                vm.assertFalse(this.verify(_littleEndian(ys[i] | (1 << 255)), text, signature));
            }
        }
    }

    function test_refusesKeysThatAreNoPoints() public view {
        (, bytes32 secret) = vm.createEd25519Key("salt");
        bytes memory signature = vm.signEd25519("", "message", secret);
        vm.assertFalse(this.verify(_littleEndian(2), "message", signature));
        vm.assertFalse(this.verify(_littleEndian(type(uint256).max), "message", signature));
    }

    /// @dev The holder of a key can make R the identity; it has one canonical encoding and three others.
    function testFuzz_refusesOtherEncodingsOfR(bytes32 salt) public view {
        (bytes32 key, bytes32 secret) = vm.createEd25519Key(salt);
        vm.assertTrue(_identitySignatureAccepted(key, secret, 1));
        vm.assertFalse(_identitySignatureAccepted(key, secret, 1 | (1 << 255)));
        vm.assertFalse(_identitySignatureAccepted(key, secret, P + 1));
        vm.assertFalse(_identitySignatureAccepted(key, secret, (P + 1) | (1 << 255)));
    }

    function _identitySignatureAccepted(bytes32 key, bytes32 secret, uint256 encodedR) private view returns (bool) {
        (bytes32 half, ) = Sha512.hash(abi.encodePacked(secret));
        uint256 scalar = uint256(_littleEndian(uint256(half)));
        scalar = (scalar & ~uint256(7) & (2 ** 255 - 1)) | (1 << 254);
        bytes32 r = _littleEndian(encodedR);
        (bytes32 first, bytes32 second) = Sha512.hash(abi.encodePacked(r, key, "message"));
        (uint256 low, uint256 high) = (uint256(_littleEndian(uint256(first))), uint256(_littleEndian(uint256(second))));
        uint256 k = addmod(low, mulmod(high, (type(uint256).max % L) + 1, L), L);
        return this.verify(key, "message", abi.encodePacked(r, _littleEndian(mulmod(k, scalar, L))));
    }

    function _assertValid(bytes32 key, bytes memory message, bytes memory signature) private view {
        vm.assertTrue(this.verify(key, message, signature));
    }

    function _parts(bytes memory signature) private pure returns (bytes32 r, uint256 s) {
        bytes32 encoded;
        (r, encoded) = abi.decode(signature, (bytes32, bytes32));
        s = uint256(_littleEndian(uint256(encoded)));
    }

    function _littleEndian(uint256 value) private pure returns (bytes32 encoded) {
        for (uint256 i; i < 32; ++i) {
            encoded |= bytes32(((value >> (8 * i)) & 0xff) << (8 * (31 - i)));
        }
    }
}
