// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochManager} from "../../src/EpochManager.sol";
import {OperatorSet} from "../../src/EpochUpdates.sol";
import {IWeightSource} from "../../src/IWeightSource.sol";
import {LightStakeRegistry} from "../../src/LightStakeRegistry.sol";
import {StakeRegistry} from "../../src/StakeRegistry.sol";
import {Vm} from "./Vm.sol";

/// @notice Weights as a test wants them.
contract FakeWeights is IWeightSource {
    mapping(address => uint256) public weightOf;

    function set(address operator, uint256 weight) external {
        weightOf[operator] = weight;
    }
}

/// @notice A registry with a short schedule, and operators with keys.
abstract contract Fixture {
    struct Operator {
        address account;
        uint256 secret;
        address signingKey;
        bytes32 ed25519Secret;
        bytes32 ed25519Key;
    }

    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    uint64 internal constant GENESIS = 1000;
    uint64 internal constant LENGTH = 100;
    uint64 internal constant GRACE = 20;
    uint256 internal constant MINIMUM = 10;
    uint256 internal constant SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    EpochManager internal epochs;
    FakeWeights internal weights;
    StakeRegistry internal registry;

    function setUp() public virtual {
        vm.roll(GENESIS);
        epochs = new EpochManager(LENGTH, GRACE);
        weights = new FakeWeights();
        registry = new StakeRegistry(epochs, weights, MINIMUM);
    }

    /// @dev First block of `epoch`, plus `offset`.
    function _goTo(uint32 epoch, uint64 offset) internal {
        vm.roll(GENESIS + epoch * LENGTH + offset);
    }

    function _operator(uint256 seed) internal pure returns (Operator memory made) {
        made.account = address(uint160(uint256(keccak256(abi.encode("account", seed)))));
        made.secret = uint256(keccak256(abi.encode("key", seed)));
        made.signingKey = vm.addr(made.secret);
        (made.ed25519Key, made.ed25519Secret) = vm.createEd25519Key(keccak256(abi.encode("ed25519", seed)));
    }

    /// @dev `count` operators, ascending by account.
    function _operators(uint256 count) internal pure returns (Operator[] memory) {
        return _operators(count, 0);
    }

    /// @dev As above; others for every `seed` that is further away than `count`.
    function _operators(uint256 count, uint256 seed) internal pure returns (Operator[] memory made) {
        made = new Operator[](count);
        for (uint256 i; i < count; ++i) {
            Operator memory next = _operator(seed + i);
            uint256 place = i;
            for (; place > 0 && made[place - 1].account > next.account; --place) {
                made[place] = made[place - 1];
            }
            made[place] = next;
        }
    }

    function _registrationDigest(
        StakeRegistry target,
        address account,
        address signingKey,
        bytes32 ed25519Key
    ) internal view returns (bytes32) {
        bytes32 typehash = keccak256("OperatorRegistration(address operator,address signingKey,bytes32 ed25519Key)");
        bytes32 content = keccak256(abi.encode(typehash, account, signingKey, ed25519Key));
        return keccak256(abi.encodePacked(hex"1901", _domainSeparator(target), content));
    }

    /// @dev Built from its definition, so that it also checks the registry's own.
    function _domainSeparator(StakeRegistry target) internal view returns (bytes32) {
        bytes32 typehash = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return
            keccak256(abi.encode(typehash, keccak256("Quorate"), keccak256("1"), block.chainid, address(target)));
    }

    function _ed25519Message(StakeRegistry target, address account, address signingKey)
        internal
        view
        returns (bytes memory message)
    {
        message = "quorate:v1:\xF0";
        for (uint256 i; i < 8; ++i) {
            message = abi.encodePacked(message, uint8(block.chainid >> (8 * i)));
        }
        message = abi.encodePacked(message, target, account, signingKey);
    }

    function _signingKeyProof(Operator memory op) internal view returns (bytes memory) {
        return _sign(op.secret, _registrationDigest(registry, op.account, op.signingKey, op.ed25519Key));
    }

    function _ed25519Proof(Operator memory op) internal view returns (bytes memory) {
        return vm.signEd25519("", _ed25519Message(registry, op.account, op.signingKey), op.ed25519Secret);
    }

    function _register(Operator memory op) internal {
        (bytes memory proof, bytes memory edProof) = (_signingKeyProof(op), _ed25519Proof(op));
        vm.prank(op.account);
        registry.registerOperator(op.signingKey, proof, op.ed25519Key, edProof);
    }

    function _registerWithWeight(Operator memory op, uint256 weight) internal {
        weights.set(op.account, weight);
        _register(op);
    }

    function _setWeight(Operator memory op, uint256 weight) internal {
        weights.set(op.account, weight);
        _refresh(op);
    }

    function _refresh(Operator memory op) internal {
        address[] memory list = new address[](1);
        list[0] = op.account;
        registry.updateOperators(list);
    }

    function _sign(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, s, v);
    }

    function _accounts(Operator[] memory ops) internal pure returns (address[] memory list) {
        list = new address[](ops.length);
        for (uint256 i; i < ops.length; ++i) {
            list[i] = ops[i].account;
        }
    }

    function _signatures(Operator[] memory ops, bytes32 digest) internal pure returns (bytes[] memory list) {
        list = new bytes[](ops.length);
        for (uint256 i; i < ops.length; ++i) {
            list[i] = _sign(ops[i].secret, digest);
        }
    }

    function _certificate(Operator[] memory ops, bytes32 digest, uint32 epoch) internal pure returns (bytes memory) {
        return abi.encode(_accounts(ops), _signatures(ops, digest), epoch);
    }

    /// @dev In compact form: by those of `all` whose bit is set in `signers`.
    function _compact(
        Operator[] memory all,
        uint256 signers,
        bytes32 digest,
        uint32 epoch
    ) internal pure returns (bytes memory) {
        bytes memory signatures;
        for (uint256 i; i < all.length; ++i) {
            if ((signers >> i) & 1 == 1) signatures = abi.encodePacked(signatures, _sign64(all[i].secret, digest));
        }
        return abi.encodePacked(uint8(1), epoch, _bitmap(all.length, signers), signatures);
    }

    /// @dev For `count` members: bit i in byte i / 8, least significant bit first.
    function _bitmap(uint256 count, uint256 signers) internal pure returns (bytes memory bitmap) {
        bitmap = new bytes((count + 7) / 8);
        for (uint256 i; i < bitmap.length; ++i) {
            bitmap[i] = bytes1(uint8(signers >> (8 * i)));
        }
    }

    /// @dev EIP-2098.
    function _sign64(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, uint256(s) | (uint256(v - 27) << 255));
    }

    /// @dev Those of `all` whose bit is set in `signers`.
    function _chosen(Operator[] memory all, uint256 signers) internal pure returns (Operator[] memory part) {
        part = new Operator[](all.length);
        uint256 count;
        for (uint256 i; i < all.length; ++i) {
            if ((signers >> i) & 1 == 1) part[count++] = all[i];
        }
        return _first(part, count);
    }

    function _set(Operator[] memory ops, uint256[] memory weights_) internal pure returns (OperatorSet memory set) {
        uint256 count = ops.length;
        set.operators = _accounts(ops);
        set.signingKeys = new address[](count);
        set.ed25519Keys = new bytes32[](count);
        set.weights = weights_;
        uint256 total;
        for (uint256 i; i < count; ++i) {
            set.signingKeys[i] = ops[i].signingKey;
            set.ed25519Keys[i] = ops[i].ed25519Key;
            total += weights_[i];
        }
        set.threshold = (total * 2) / 3 + 1;
    }

    function _setOfEqual(Operator[] memory ops, uint256 weight) internal pure returns (OperatorSet memory) {
        uint256[] memory same = new uint256[](ops.length);
        for (uint256 i; i < ops.length; ++i) {
            same[i] = weight;
        }
        return _set(ops, same);
    }

    /// @dev A light registry for `registry`.
    function _light(uint32 epoch, OperatorSet memory set) internal returns (LightStakeRegistry) {
        return new LightStakeRegistry(uint64(block.chainid), address(registry), epoch, set);
    }

    /// @dev Built from its definition.
    function _updateDigest(
        bytes32 domain,
        uint32 epoch,
        uint32 nextEpoch,
        OperatorSet memory set
    ) internal pure returns (bytes32) {
        bytes32 typehash = keccak256("EpochUpdate(uint32 epoch,uint32 nextEpoch,bytes32 setHash)");
        bytes32 content = keccak256(abi.encode(typehash, epoch, nextEpoch, _setHash(set)));
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }

    function _setHash(OperatorSet memory set) internal pure returns (bytes32) {
        return keccak256(abi.encode(set.operators, set.signingKeys, set.ed25519Keys, set.weights, set.threshold));
    }

    /// @dev The first `count` of `ops`.
    function _first(Operator[] memory ops, uint256 count) internal pure returns (Operator[] memory part) {
        part = new Operator[](count);
        for (uint256 i; i < count; ++i) {
            part[i] = ops[i];
        }
    }

    function _bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + (value % (high - low + 1));
    }
}
