// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Attestations} from "../src/Attestations.sol";
import {Bridge} from "../src/Bridge.sol";
import {BridgeSwitch} from "../src/BridgeSwitch.sol";
import {Certificates} from "../src/Certificates.sol";
import {IBridge} from "../src/IBridge.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {Transfer, Transfers} from "../src/Transfers.sol";
import {BridgeFixture} from "./support/BridgeFixture.sol";

/// @notice What is paid for a certificate, what is closed instead, and that nothing is both.
contract BridgeDeliveryTest is BridgeFixture {
    // What is paid

    function test_paysTheReceiver() public {
        Transfer memory transfer = _incoming(1);
        bytes memory certificate = _certify(transfer);
        vm.expectEmit(address(bridge));
        emit IBridge.TransferPaid(routeIn, 1, RECEIVER, address(token), 100_000);
        vm.prank(address(0x5a));
        bridge.deliver(transfer, certificate);
        _assertPaid(100_000);
        vm.assertEq(_balanceOf(tokenId), LOCKED - 100_000);
        _assertStatus(1, IBridge.Status.Paid);
    }

    function test_paysCoin() public {
        _deliver(_incoming(1, PEER_COIN, 3e9));
        vm.assertEq(RECEIVER.balance, 3 ether);
    }

    function test_paysByMinting() public {
        _deliver(_incoming(1, PEER_NATIVE, 77));
        vm.assertEq(minted.balanceOf(RECEIVER), 77);
        vm.assertEq(minted.totalSupply(), 77);
    }

    function test_takesCertificatesInEitherForm() public {
        Transfer memory transfer = _incoming(1);
        bytes32 digest = Attestations.digest(
            registry.domainSeparator(),
            EPOCH,
            Transfers.slot(transfer),
            Transfers.fact(transfer)
        );
        bridge.deliver(transfer, _certificate(_first(ops, 3), digest, EPOCH));
        _assertPaid(100_000);
    }

    function test_takesCertificatesOfALightRegistry() public {
        _goTo(EPOCH, 0);
        LightStakeRegistry light = _light(EPOCH, _setOfEqual(ops, 100));
        vm.chainId(10);
        bridge = new Bridge(light, address(this), GUARDIAN, 0, 0);
        Transfer memory transfer = _incoming(1);
        bytes32 digest = Attestations.digest(
            light.domainSeparator(),
            EPOCH,
            Transfers.slot(transfer),
            Transfers.fact(transfer)
        );
        vm.warp(_fixedAt(EPOCH) + LIFETIME_SECONDS);
        vm.prank(RECEIVER);
        bridge.close(transfer, _compact(ops, 7, digest, EPOCH));
        transfer.nonce = 2;
        digest = Attestations.digest(
            light.domainSeparator(),
            EPOCH,
            Transfers.slot(transfer),
            Transfers.fact(transfer)
        );
        vm.warp(_fixedAt(EPOCH) + LIFETIME_SECONDS + 1);
        bytes memory certificate = _compact(ops, 7, digest, EPOCH);
        vm.expectRevert(_error(IQuorumRegistry.CertificateExpired.selector, EPOCH));
        vm.prank(RECEIVER);
        bridge.close(transfer, certificate);
    }

    /// @dev One that is late or can never be paid holds up nobody.
    function test_numbersComeInAnyOrder() public {
        uint64[6] memory nonces = [uint64(300), 1, 257, 256, 255, type(uint64).max];
        for (uint256 i; i < nonces.length; ++i) {
            _assertStatus(nonces[i], IBridge.Status.Open);
            _deliver(_incoming(nonces[i], PEER_TOKEN, 1));
            _assertStatus(nonces[i], IBridge.Status.Paid);
        }
        _assertStatus(2, IBridge.Status.Open);
        _assertPaid(600);
    }

    function test_paysAfterTheDeadline() public {
        Transfer memory transfer = _incoming(1);
        _pass(30 days);
        _deliver(transfer);
        _assertPaid(100_000);
    }

    // What is not

    function test_refusesOtherChainsAndContracts() public {
        Transfer memory transfer = _incoming(1);
        transfer.targetChain += 1;
        _refuseDelivery(transfer, _error(IBridge.OtherTarget.selector));
        transfer = _incoming(1);
        transfer.targetContract = _padded(address(token));
        _refuseDelivery(transfer, _error(IBridge.OtherTarget.selector));
        // Not everything that ends in the address is it.
        transfer.targetContract = _padded(address(bridge)) | bytes32(uint256(1) << 200);
        _refuseDelivery(transfer, _error(IBridge.OtherTarget.selector));
        transfer = _incoming(1);
        bytes memory certificate = _certify(transfer);
        vm.chainId(block.chainid + 1);
        vm.expectRevert(IBridge.OtherTarget.selector);
        bridge.deliver(transfer, certificate);
    }

    function test_refusesUnknownPeersAndTokens() public {
        Transfer memory transfer = _incoming(1);
        transfer.sourceContract = keccak256("nobody");
        bytes32 id = bridge.idOf(PEER_CHAIN, transfer.sourceContract, PEER_TOKEN);
        _refuseDelivery(transfer, abi.encodeWithSelector(IBridge.UnknownToken.selector, id));
        transfer = _incoming(1);
        transfer.sourceChain += 1;
        id = bridge.idOf(PEER_CHAIN + 1, PEER, PEER_TOKEN);
        _refuseDelivery(transfer, abi.encodeWithSelector(IBridge.UnknownToken.selector, id));
        transfer = _incoming(1, keccak256("other token"), 1);
        id = bridge.idOf(PEER_CHAIN, PEER, transfer.token);
        _refuseDelivery(transfer, abi.encodeWithSelector(IBridge.UnknownToken.selector, id));
    }

    function test_paysOnce() public {
        Transfer memory transfer = _incoming(1);
        _deliver(transfer);
        bytes memory taken = abi.encodeWithSelector(IBridge.NonceTaken.selector, routeIn, 1);
        _refuseDelivery(transfer, taken);
        // Nor another with its number, were there one.
        _refuseDelivery(_incoming(1, PEER_COIN, 1), taken);
        _assertPaid(100_000);
        // The other peer counts for itself.
        transfer.sourceContract = OTHER_PEER;
        _deliver(transfer);
        _assertPaid(200_000);
    }

    function test_everyFieldIsSigned() public {
        bytes memory certificate = _certify(_incoming(1));
        for (uint256 field; field < 8; ++field) {
            Transfer memory other = _incoming(1);
            if (field == 0) other.sourceChain += 1;
            if (field == 1) other.sourceContract = OTHER_PEER;
            if (field == 2) other.nonce += 1;
            if (field == 3) other.sender = keccak256("other sender");
            if (field == 4) other.receiver = abi.encodePacked(address(this));
            if (field == 5) other.token = PEER_COIN;
            if (field == 6) other.amount += 1;
            if (field == 7) other.deadline += 1;
            vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
            bridge.deliver(other, certificate);
            vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
            vm.prank(address(bytes20(other.receiver)));
            bridge.close(other, certificate);
        }
        bridge.deliver(_incoming(1), certificate);
    }

    /// @dev What a set signs counts for its own epoch only.
    function test_refusesTheSetOfAnotherEpoch() public {
        Transfer memory transfer = _incoming(1);
        bytes memory certificate = _certify(transfer);
        registry.sealEpoch(EPOCH - 1, _accounts(ops));
        certificate[4] = bytes1(uint8(EPOCH - 1));
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        bridge.deliver(transfer, certificate);
        certificate[4] = bytes1(uint8(EPOCH + 1));
        vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
        bridge.deliver(transfer, certificate);
    }

    function test_refusesAgedCertificates() public {
        Transfer memory transfer = _incoming(1);
        bytes memory certificate = _certify(transfer);
        vm.roll(_fixedBlock(EPOCH) + LIFETIME + 1);
        vm.expectRevert(_error(IQuorumRegistry.CertificateExpired.selector, EPOCH));
        bridge.deliver(transfer, certificate);
        vm.roll(_fixedBlock(EPOCH) + LIFETIME);
        bridge.deliver(transfer, certificate);
    }

    function test_refusesLessThanAQuorum() public {
        Transfer memory transfer = _incoming(1);
        bytes32 digest = Attestations.digest(
            registry.domainSeparator(),
            EPOCH,
            Transfers.slot(transfer),
            Transfers.fact(transfer)
        );
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        bridge.deliver(transfer, _compact(ops, 3, digest, EPOCH));
        vm.expectRevert(Certificates.MalformedCertificate.selector);
        bridge.deliver(transfer, "");
    }

    function test_refusesWhatIsSignedForOtherPurposes() public {
        Transfer memory transfer = _incoming(1);
        bytes memory certificate = _certifyClosing(transfer, transfer.deadline);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        bridge.deliver(transfer, certificate);
    }

    function test_refusesARegistryThatDoesNotSayYes() public {
        bridge = new Bridge(IQuorumRegistry(address(new Silent())), address(this), GUARDIAN, 0, 0);
        Transfer memory transfer = _incoming(1);
        bytes memory certificate = _certify(transfer);
        vm.expectRevert(BridgeSwitch.CertificateRejected.selector);
        bridge.deliver(transfer, certificate);
    }

    // Receivers

    function test_refusesReceiversThatAreNone() public {
        bytes[7] memory receivers = [
            bytes(""),
            abi.encodePacked(uint152(1)),
            abi.encodePacked(uint168(uint160(RECEIVER))),
            abi.encodePacked(_padded(RECEIVER)),
            new bytes(64),
            new bytes(20),
            abi.encodePacked(address(bridge))
        ];
        for (uint64 i; i < receivers.length; ++i) {
            Transfer memory transfer = _incoming(i + 1);
            transfer.receiver = receivers[i];
            _refuseDelivery(transfer, _error(IBridge.InvalidReceiver.selector));
        }
        // Anybody can give them back, once it is time.
        for (uint64 i; i < receivers.length; ++i) {
            Transfer memory transfer = _incoming(i + 1);
            transfer.receiver = receivers[i];
            bytes memory certificate = _certify(transfer);
            vm.expectRevert(_error(IBridge.NotExpired.selector, transfer.deadline));
            bridge.close(transfer, certificate);
            vm.warp(transfer.deadline + 1);
            bridge.close(transfer, certificate);
            _assertStatus(i + 1, IBridge.Status.Closed);
        }
    }

    // Closing

    function test_theReceiverClosesAtAnyTime() public {
        Transfer memory transfer = _incoming(1);
        bytes memory certificate = _certify(transfer);
        uint64 time = uint64(block.timestamp);
        vm.expectEmit(address(bridge));
        emit IBridge.TransferClosed(routeIn, 1, time);
        vm.prank(RECEIVER);
        bridge.close(transfer, certificate);
        vm.assertEq(bridge.closedAt(Transfers.slot(transfer)), time);
        _assertStatus(1, IBridge.Status.Closed);
    }

    function test_strangersCloseAfterTheDeadlineOnly() public {
        Transfer memory transfer = _incoming(1);
        bytes memory certificate = _certify(transfer);
        vm.warp(transfer.deadline);
        vm.expectRevert(_error(IBridge.NotExpired.selector, transfer.deadline));
        bridge.close(transfer, certificate);
        vm.warp(transfer.deadline + 1);
        bridge.close(transfer, certificate);
        vm.assertEq(bridge.closedAt(Transfers.slot(transfer)), transfer.deadline + 1);
    }

    /// @dev So what a source sent to a token or from a peer that is not known here is given back as well.
    function test_closesWhatItDoesNotKnow() public {
        Transfer memory transfer = _incoming(1, keccak256("other token"), 1);
        _closeByReceiver(transfer);
        transfer.sourceContract = keccak256("nobody");
        _closeByReceiver(transfer);
    }

    function test_closesOnlyWhatIsForHereAndCertified() public {
        Transfer memory transfer = _incoming(1);
        bytes memory certificate = _certify(transfer);
        transfer.targetContract = PEER;
        vm.expectRevert(IBridge.OtherTarget.selector);
        vm.prank(RECEIVER);
        bridge.close(transfer, certificate);
        transfer = _incoming(1);
        transfer.targetChain += 1;
        vm.expectRevert(IBridge.OtherTarget.selector);
        vm.prank(RECEIVER);
        bridge.close(transfer, certificate);
        // Nobody closes what another is to get by a receiver that was changed.
        transfer = _incoming(1);
        transfer.receiver = abi.encodePacked(USER);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        vm.prank(USER);
        bridge.close(transfer, certificate);
    }

    function test_whatIsClosedIsNotPaid() public {
        Transfer memory transfer = _incoming(1);
        _closeByReceiver(transfer);
        bytes memory taken = abi.encodeWithSelector(IBridge.NonceTaken.selector, routeIn, 1);
        _refuseDelivery(transfer, taken);
        bytes memory certificate = _certify(transfer);
        _pass(2 days);
        vm.expectRevert(taken);
        bridge.close(transfer, certificate);
        vm.expectRevert(IBridge.NotQueued.selector);
        bridge.release(transfer);
        _assertPaid(0);
        vm.assertEq(_balanceOf(tokenId), LOCKED);
    }

    function test_whatIsPaidIsNotClosed() public {
        Transfer memory transfer = _incoming(1);
        _deliver(transfer);
        bytes memory certificate = _certify(transfer);
        _pass(2 days);
        vm.expectRevert(abi.encodeWithSelector(IBridge.NonceTaken.selector, routeIn, 1));
        bridge.close(transfer, certificate);
        vm.assertEq(bridge.closedAt(Transfers.slot(transfer)), 0);
    }
}

/// @notice Answers without reverting and without the magic value.
contract Silent {
    bytes32 public constant domainSeparator = 0;

    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return 0xffffffff;
    }
}
